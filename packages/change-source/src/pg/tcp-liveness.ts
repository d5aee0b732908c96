import { readFileSync } from 'node:fs';
import net from 'node:net';
import type { Logger } from '@shapecast/service-kit';

/** How soon a peer that is gone is noticed (spec R 3.5); what is unset is left to the operating system. */
export interface TcpLiveness {
  /** Seconds without traffic before the first probe. */
  readonly keepaliveIdleS?: number | undefined;
  /** Seconds between probes. */
  readonly keepaliveIntervalS?: number | undefined;
  /** Unanswered probes before the connection counts as dead. */
  readonly keepaliveCount?: number | undefined;
  /** Milliseconds that sent data may stay unacknowledged. */
  readonly userTimeoutMs?: number | undefined;
}

type SetKeepAlive = (enable: boolean, idleMs: number, intervalMs?: number, count?: number) => net.Socket;

/** Node learnt to set interval and count in 24.x; older ones take two arguments and ignore the rest. */
const SETS_ALL = net.Socket.prototype.setKeepAlive.length >= 4;

/** What cannot be set here is told once; the replication session's own liveness check covers it (spec R 8.5.4). */
export function warnUnsettable(liveness: TcpLiveness, log: Logger, platform: string = process.platform): void {
  const wanted = Object.entries(liveness).flatMap(([name, value]) => (value === undefined ? [] : [name]));
  const ignored = wanted.filter((name) => platform !== 'linux' || name === 'userTimeoutMs' || !settable(name));
  if (ignored.length === 0) return;
  log.warn(
    { ignored, platform },
    'some TCP settings cannot be set on this platform; dead database connections are found by our own heartbeat instead',
  );
}

/** Sets what is wanted on a socket that is connected. Where only a part is wanted, the rest is what the system has. */
export function applyLiveness(socket: net.Socket, liveness: TcpLiveness): void {
  const { keepaliveIdleS, keepaliveIntervalS, keepaliveCount } = liveness;
  if (process.platform !== 'linux') return;
  if (keepaliveIdleS === undefined && keepaliveIntervalS === undefined && keepaliveCount === undefined) return;
  const idleMs = (keepaliveIdleS ?? systemDefault('tcp_keepalive_time', 7200)) * 1000;
  const intervalMs = (keepaliveIntervalS ?? systemDefault('tcp_keepalive_intvl', 75)) * 1000;
  const count = keepaliveCount ?? systemDefault('tcp_keepalive_probes', 9);
  (socket.setKeepAlive as SetKeepAlive)(true, idleMs, intervalMs, count);
}

function settable(name: string): boolean {
  return SETS_ALL || name === 'keepaliveIdleS';
}

function systemDefault(name: string, fallback: number): number {
  try {
    return Number(readFileSync(`/proc/sys/net/ipv4/${name}`, 'utf8')) || fallback;
  } catch {
    return fallback;
  }
}
