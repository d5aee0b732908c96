import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

export interface WireAnswer {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

/**
 * Writes bytes to a socket and reads until the server has closed its side, as a client that sends everything before it reads
 * does. Rejects when the connection is reset: an answer that a client cannot read is no answer. `chunkBytes` sends slowly, in
 * pieces, so that several reach the server one by one.
 */
export async function exchangeBytes(base: string, bytes: string | Buffer, chunkBytes = Infinity): Promise<WireAnswer> {
  const { hostname, port } = new URL(base);
  const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
  const parts: Buffer[] = [];
  socket.on('data', (part: Buffer) => parts.push(part));
  const ended = new Promise<void>((resolve, reject) => {
    socket.once('end', resolve);
    socket.once('error', reject);
  });
  ended.catch(() => {});
  const data = Buffer.from(bytes);
  for (let at = 0; at < data.length && !socket.destroyed; at += chunkBytes) {
    socket.write(data.subarray(at, Math.min(data.length, at + chunkBytes)));
    if (chunkBytes !== Infinity) await delay(1);
  }
  await ended;
  socket.destroy();
  const text = Buffer.concat(parts).toString('latin1');
  const split = text.indexOf('\r\n\r\n');
  return { status: Number(text.slice(9, 12)), head: text.slice(0, split).toLowerCase(), body: text.slice(split + 4) };
}
