import { connect, type Socket } from 'node:net';
import { Client } from 'pg';
import { startCluster, waitFor } from '@shapecast/testkit';
import { startMeasuredApi, type MeasuredApi } from './measured-api.ts';

export interface ParkedOptions {
  readonly clients: number;
  /** Writes that are answered to all, one after the other. */
  readonly runs: number;
}

/**
 * N raw sockets hold a long poll each, all at the tail of one shape, on one API process. Measured: what a held poll adds to
 * the resident memory of the process, and from the commit of a row until the last of the sockets has its whole answer. The
 * answers are compared with each other; then the sockets poll again from the new tail.
 */
export async function parked(options: ParkedOptions): Promise<Readonly<Record<string, unknown>>> {
  const cluster = await startCluster({ routers: 1, apis: 1, replicators: 1, env: { SHAPECAST_LOG_LEVEL: 'warning' } });
  const api = await startMeasuredApi(cluster, {
    ELECTRIC_LONG_POLL_TIMEOUT: '300s',
    ELECTRIC_TWEAKS_CONN_MAX_REQUESTS: '0',
  });
  const client = new Client({ connectionString: cluster.databaseUrl });
  await client.connect();
  try {
    await client.query('create table parked (id int primary key, note text not null)');
    await client.query(`insert into parked values (1, 'first')`);
    let place = await tail(api);
    // Code and buffers that the first requests of a process need are not the polls' own.
    const warm = new Polls(api.port, place, 500);
    await held(api, 500);
    await client.query(`insert into parked values (2, 'warm')`);
    place = { ...place, offset: offsetOf(await warm.answers()) };
    warm.close();
    await held(api, 0);
    const before = await api.ask('collect');
    const cpuBefore = before.cpuMicros;

    const polls = new Polls(api.port, place, options.clients);
    await held(api, options.clients);
    const parkedCpu = (await api.ask('report')).cpuMicros - cpuBefore;
    const after = await api.ask('collect');
    const writes: Record<string, number>[] = [];
    for (let run = 0; run < options.runs; run += 1) {
      const { cpuMicros } = await api.ask('report');
      await client.query(`insert into parked values ($1, 'news')`, [100 + run]);
      const committed = performance.now();
      const answers = await polls.answers();
      const seconds = (performance.now() - committed) / 1000;
      const report = await api.ask('report');
      place = { ...place, offset: offsetOf(answers) };
      writes.push({
        secondsToAll: round(seconds),
        cpuMicrosPerAnswer: round((report.cpuMicros - cpuMicros) / options.clients),
        longestTurnMs: round(report.longestTurnMs),
      });
      polls.again(place);
      await held(api, options.clients);
    }
    polls.close();
    return {
      clients: options.clients,
      runs: options.runs,
      rssBytesPerPoll: Math.round((after.rss - before.rss) / options.clients),
      heapBytesPerPoll: Math.round((after.heapUsed - before.heapUsed) / options.clients),
      cpuMicrosPerParkedPoll: round(parkedCpu / options.clients),
      writes,
    };
  } finally {
    await client.end();
    await api.stop();
    await cluster.stop();
  }
}

interface Place {
  readonly handle: string;
  readonly offset: string;
}

/** Reads the shape to its tail. */
async function tail(api: MeasuredApi): Promise<Place> {
  let query = 'offset=-1';
  return waitFor(
    async () => {
      const reply = await fetch(`http://127.0.0.1:${api.port}/v1/shape?table=parked&${query}`);
      await reply.arrayBuffer();
      const handle = reply.headers.get('electric-handle');
      const offset = reply.headers.get('electric-offset');
      if (handle === null || offset === null) return undefined;
      query = `offset=${offset}&handle=${handle}`;
      return reply.headers.has('electric-up-to-date') ? { handle, offset } : undefined;
    },
    { timeoutMs: 30_000, intervalMs: 20, describe: () => 'the shape cannot be read' },
  );
}

/** Sockets that speak just enough HTTP, so that the benchmark leaves its core to the server. */
class Polls {
  readonly #sockets: Socket[] = [];
  readonly #texts: string[];
  #missing: number;
  #done = Promise.withResolvers<readonly string[]>();

  constructor(port: number, place: Place, count: number) {
    this.#texts = new Array<string>(count).fill('');
    this.#missing = count;
    for (let i = 0; i < count; i += 1) {
      const socket = connect(port, '127.0.0.1');
      socket.setNoDelay(true);
      socket.write(requestAt(place));
      socket.on('data', (bytes) => this.#take(i, bytes.toString('latin1')));
      socket.on('error', (err) => this.#done.reject(err));
      this.#sockets.push(socket);
    }
  }

  /** All answers, each as the text of its status line, headers and body. */
  answers(): Promise<readonly string[]> {
    return this.#done.promise;
  }

  again(place: Place): void {
    this.#texts.fill('');
    this.#missing = this.#sockets.length;
    this.#done = Promise.withResolvers();
    const request = requestAt(place);
    for (const socket of this.#sockets) socket.write(request);
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #take(index: number, text: string): void {
    const all = (this.#texts[index] as string) + text;
    this.#texts[index] = all;
    const end = all.indexOf('\r\n\r\n');
    const length = /\r\ncontent-length: (\d+)/.exec(all);
    if (end < 0 || length === null || all.length < end + 4 + Number(length[1])) return;
    this.#missing -= 1;
    if (this.#missing === 0) this.#done.resolve(this.#texts);
  }
}

function requestAt({ handle, offset }: Place): string {
  return `GET /v1/shape?table=parked&handle=${handle}&offset=${offset}&live=true&cursor=1 HTTP/1.1\r\nhost: bench\r\n\r\n`;
}

/** The offset that all answers name; throws unless all have the same body. */
function offsetOf(answers: readonly string[]): string {
  const bodies = new Set(answers.map((answer) => answer.slice(answer.indexOf('\r\n\r\n'))));
  const offset = /\r\nelectric-offset: (\S+)/.exec(answers[0] as string)?.[1];
  if (bodies.size !== 1 || offset === undefined)
    throw new Error(`the answers differ: ${[...bodies].slice(0, 3).join('|')}`);
  return offset;
}

/** There is no endpoint that tells how many polls are held, so this asks until the process sits still. */
async function held(api: MeasuredApi, clients: number): Promise<void> {
  let last = -1;
  let still = 0;
  await waitFor(
    async () => {
      const { cpuMicros } = await api.ask('report');
      still = last >= 0 && cpuMicros - last < 20_000 ? still + 1 : 0;
      last = cpuMicros;
      return still >= 4;
    },
    { timeoutMs: 60_000, intervalMs: 250, describe: () => `${clients} polls are not held` },
  );
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
