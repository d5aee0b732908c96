import type { Clock, Logger } from '@shapecast/service-kit';
import type { ShardCursor } from '../shape-store.ts';
import { decodeCursor } from './codec.ts';
import { wrap } from './connection.ts';
import type { StoreContext } from './context.ts';
import type { ShardKeys } from './keys.ts';

interface DurabilityDeps {
  readonly clock: Clock;
  readonly log: Logger;
}

export interface DurabilityOptions {
  /** Replicas that must have a change before it counts; undefined: one, if the server has or had one. */
  readonly replicas?: number | undefined;
  /** Age at which an append-only file that is synchronised every second surely has been (spec R 12.4.3). */
  readonly syncedMs?: number | undefined;
}

/** How long disk and replicas may take. Acknowledgements of replicas come once a second, after up to two of synchronising. */
const WAIT_MS = 3_000;
const SYNCED_MS = 3_000;
/** Of each shard, as many moments are remembered that are not that old yet. */
const MAX_MOMENTS = 16;

interface Asked {
  readonly keys: ShardKeys;
  readonly settle: (cursor: Promise<ShardCursor | undefined>) => void;
}

/** A cursor, and since when the replicas have it. */
interface Moment {
  readonly cursor: ShardCursor;
  readonly at: number;
}

/** What a server says of how it keeps its data. */
interface Server {
  readonly runId: string;
  readonly appendOnly: boolean;
  readonly replicas: number;
}

type Reply = [error: Error | null, value: unknown];

/**
 * Finds out how far the shards on one node are safe, on a connection of its own. One wait is for all that asked while the one before
 * it went on, and is for all that the server had written then, whoever wrote it: the command waits for the writes of its own
 * connection, so there is one, which changes nothing.
 *
 * `WAITAOF` says it; servers before 7.2 have only `WAIT`, which says nothing of the disk, and what they say counts once it is old.
 * Where there is no append-only file, all that a restart could bring back is what the replicas have.
 */
export class NodeDurability {
  readonly #deps: DurabilityDeps;
  readonly #options: DurabilityOptions;
  readonly #context: StoreContext;
  #asked: Asked[] = [];
  #running = false;
  /** The server is too old, or does not let us. */
  #withoutWaitAof = false;
  #replicasSeen = 0;
  #runId: string | undefined;
  #warned: string | undefined;
  readonly #moments = new Map<string, Moment[]>();

  constructor(deps: DurabilityDeps, context: StoreContext, options: DurabilityOptions) {
    this.#deps = deps;
    this.#context = context;
    this.#options = options;
  }

  cursor(keys: ShardKeys): Promise<ShardCursor | undefined> {
    const { promise, resolve } = Promise.withResolvers<ShardCursor | undefined>();
    this.#asked.push({ keys, settle: resolve });
    if (!this.#running) void this.#run();
    return promise;
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#asked.length > 0) {
      const asked = this.#asked;
      this.#asked = [];
      try {
        await this.#round(asked);
      } catch (cause) {
        const error = cause instanceof Error ? cause : new Error('durability is not known', { cause });
        for (const { settle } of asked) settle(Promise.reject(error));
      }
    }
    this.#running = false;
  }

  async #round(asked: readonly Asked[]): Promise<void> {
    const server = await this.#inspect();
    const replicas = this.#options.replicas ?? Math.min(1, this.#replicasSeen);
    const waitAof = server.appendOnly && !this.#withoutWaitAof;
    const replies = await this.#wait(asked, waitAof ? ['WAITAOF', 1, replicas, WAIT_MS] : ['WAIT', replicas, WAIT_MS]);
    const [failure, kept] = replies[asked.length * 2] as Reply;
    if (waitAof && failure && isRefusal(failure)) {
      this.#deps.log.debug({ err: failure }, 'redis cannot say what is on its disk, waiting longer instead');
      this.#withoutWaitAof = true;
      return this.#round(asked);
    }
    asked.forEach(({ keys, settle }, i) => {
      const [[unread, text], [unwritten]] = [replies[2 * i] as Reply, replies[2 * i + 1] as Reply];
      const error = unread ?? unwritten ?? failure;
      if (error) return settle(Promise.reject(wrap('durability', error)));
      if (typeof text !== 'string') return settle(Promise.resolve(undefined));
      const cursor = decodeCursor(text);
      const safe = waitAof
        ? isKept(kept as [number, number], replicas) && cursor
        : (kept as number) >= replicas && (server.appendOnly ? this.#aged(keys, cursor) : cursor);
      settle(Promise.resolve(safe || undefined));
    });
  }

  /** Cursors, then one write, then the wait, on one connection: on another one there would be nothing to wait for. */
  async #wait(asked: readonly Asked[], wait: readonly [string, ...number[]]): Promise<Reply[]> {
    return this.#context.redis.run('durability', async (client) => {
      const pipeline = client.pipeline();
      for (const { keys } of asked) {
        pipeline.hget(keys.meta, 'cursor');
        // The first stays the first.
        pipeline.lmove(keys.versions, keys.versions, 'LEFT', 'LEFT');
      }
      const [command, ...args] = wait;
      pipeline.call(command, ...args);
      return (await pipeline.exec()) as Reply[];
    });
  }

  /** The newest cursor that is old enough. */
  #aged(keys: ShardKeys, cursor: ShardCursor): ShardCursor | undefined {
    const now = this.#deps.clock.now();
    const oldest = now - (this.#options.syncedMs ?? SYNCED_MS);
    const moments = this.#moments.get(keys.tag) ?? [];
    if (moments.length < MAX_MOMENTS) moments.push({ cursor, at: now });
    let safe: Moment | undefined;
    while (moments[0] && moments[0].at <= oldest) safe = moments.shift();
    // Until there is a newer one.
    if (safe) moments.unshift(safe);
    this.#moments.set(keys.tag, moments);
    return safe?.cursor;
  }

  /** A server that was started again, or another one, may have less than what was remembered. */
  async #inspect(): Promise<Server> {
    const info = await this.#context.redis.run('durability', (client) =>
      // Managed services may refuse the question.
      client.info('everything').catch((error: unknown) => {
        if (error instanceof Error && error.message.startsWith('NOPERM')) return '';
        throw error;
      }),
    );
    const server: Server = {
      runId: /^run_id:(\w+)/m.exec(info)?.[1] ?? '',
      appendOnly: !/^aof_enabled:0/m.test(info),
      replicas: Number(/^connected_slaves:(\d+)/m.exec(info)?.[1] ?? 0),
    };
    if (server.runId !== this.#runId) {
      this.#moments.clear();
      this.#withoutWaitAof = false;
      this.#runId = server.runId;
    }
    this.#replicasSeen = Math.max(this.#replicasSeen, server.replicas);
    this.#warn(server);
    return server;
  }

  /** Once for each way of losing more than a second. */
  #warn({ appendOnly }: Server): void {
    const missing = [...(appendOnly ? [] : ['appendonly']), ...(this.#replicasSeen === 0 ? ['replica'] : [])].join(' ');
    if (missing === this.#warned) return;
    this.#warned = missing;
    if (!appendOnly && this.#replicasSeen === 0) {
      this.#deps.log.warn({}, 'redis has neither an append-only file nor a replica: a restart loses all shapes');
    } else if (!appendOnly) {
      this.#deps.log.warn(
        {},
        'redis has no append-only file: if it and its replicas restart together, all shapes are lost',
      );
    } else if (missing !== '') {
      this.#deps.log.warn({}, 'redis has no replica: shapes are away while it is, and lost with its disk');
    }
  }
}

function isKept([local, replicas]: readonly [number, number], wanted: number): boolean {
  return local >= 1 && replicas >= wanted;
}

/** The server is too old for the command, does not allow it, or has just been told to keep no file. */
function isRefusal({ message }: Error): boolean {
  return /^(ERR unknown command|NOPERM|ERR WAITAOF)/i.test(message);
}
