import { openPgGuardedSlot } from '@shapecast/change-source';
import { chainAfter, decodeRecord, formatLsn, maxLsn, type Lsn } from '@shapecast/log';
import { inspectNats, type MessagingInspection } from '@shapecast/messaging';
import { databaseConnection, redisConnection, silentLogger } from '@shapecast/service-kit';
import { openRedisShapeStore } from '@shapecast/shape-store';
import type { World } from '../command.ts';
import { failureOf } from '../doctor/failure.ts';
import { natsSettings, postgresSettings, redisSettings, type Settings } from '../doctor/settings.ts';

/** How long a call to Redis waits for its first connection. */
const CONNECT_MS = 5_000;

/** What was found out, why it was not, or which variable would tell where to look. */
type Look<T> = T | { readonly problem: string } | { readonly unset: string };

/** How far the parts of a source have come. LSNs as Postgres writes them; bytes of WAL; a record is a message of the tx stream. */
export interface LagReport {
  readonly source: string;
  readonly postgres: Look<PostgresLag>;
  readonly stream: Look<StreamLag>;
  readonly shards: Look<{ readonly each: readonly ShardLag[] }>;
}

interface PostgresLag {
  readonly wal: string;
  readonly confirmed: string;
  /** Between the two. */
  readonly unconfirmedBytes: number;
  readonly retainedBytes: number;
}

interface StreamLag {
  readonly incarnation: number;
  /** Process that leads. */
  readonly leader: string | undefined;
  readonly lastSeq: number;
  /** Commit LSN up to which it has told. */
  readonly lsn: string | undefined;
  readonly bytes: number;
  /** Of WAL that Postgres has written since; with it is WAL that no table of ours is in. */
  readonly behindPostgresBytes: number | undefined;
}

interface ShardLag {
  readonly shard: number;
  /** Undefined while no router has it. */
  readonly router: string | undefined;
  /** Last record that is applied; undefined for a shard that was never owned. */
  readonly seq: number | undefined;
  /** Records that are stored, but not applied. */
  readonly behindRecords: number | undefined;
  readonly watermark: string | undefined;
  /** Last record that is applied for sure. */
  readonly durableSeq: number | undefined;
}

export async function measureLag(world: World): Promise<LagReport> {
  const { env, signal } = world;
  const nats = natsSettings(env);
  const [slot, found] = await Promise.all([
    look(postgresSettings(env), (config) => slotOf(config, world), signal),
    look(nats, (config) => natsOf(config, world), signal),
  ]);
  const source = nats.kind === 'read' ? nats.config.sourceId : '';
  if (!('sight' in found)) return { source, postgres: withoutWal(slot), stream: found, shards: found };
  const { sight } = found;
  const shards = await look(redisSettings(env), (config) => shardsOf(config, { source, sight }, world), signal);
  const walLsn = 'walLsn' in slot ? slot.walLsn : undefined;
  return { source, postgres: withoutWal(slot), stream: streamLag(source, sight, walLsn), shards };
}

type SlotLook = PostgresLag & { readonly walLsn: Lsn };

function withoutWal(slot: Look<SlotLook>): Look<PostgresLag> {
  if (!('walLsn' in slot)) return slot;
  const { walLsn: _, ...rest } = slot;
  return rest;
}

async function slotOf(config: Read<typeof postgresSettings>, { clock, signal }: World): Promise<Look<SlotLook>> {
  const { databaseUrl: url, slotName } = config;
  const options = { url, slotName, connection: databaseConnection(config) };
  const report = await openPgGuardedSlot(options, { clock, log: silentLogger }).report(signal);
  if (report === undefined) return { problem: `Postgres keeps no WAL for slot "${slotName}".` };
  const { walLsn, confirmedLsn, restartLsn } = report;
  return {
    walLsn,
    wal: formatLsn(walLsn),
    confirmed: formatLsn(confirmedLsn),
    unconfirmedBytes: Number(walLsn - confirmedLsn),
    retainedBytes: Number(walLsn - restartLsn),
  };
}

async function natsOf(
  config: Read<typeof natsSettings>,
  world: World,
): Promise<{ readonly sight: MessagingInspection }> {
  const { natsUrl: url, natsCredsFile: credsFile, natsCaFile: caFile, sourceId } = config;
  const files = { ...(credsFile === undefined ? {} : { credsFile }), ...(caFile === undefined ? {} : { caFile }) };
  return { sight: await inspectNats({ url, ...files }, sourceId, world, world.signal) };
}

function streamLag(source: string, sight: MessagingInspection, walLsn: Lsn | undefined): Look<StreamLag> {
  if (sight.noJetStream !== undefined) return { problem: sight.noJetStream };
  if (sight.source === undefined) return { problem: `Source ${source} was never set up.` };
  const { stream } = sight;
  if (stream === undefined) return { problem: `Source ${source} has no tx stream.` };
  const told = stream.last && toldBy(stream.last);
  return {
    incarnation: sight.source.incarnation,
    leader: sight.leader?.holder,
    lastSeq: stream.lastSeq,
    lsn: told === undefined ? undefined : formatLsn(told),
    bytes: stream.bytes,
    // Read a moment before or after each other.
    behindPostgresBytes: told === undefined || walLsn === undefined ? undefined : Math.max(0, Number(walLsn - told)),
  };
}

/** Everything that commits up to it is in the stream, or is about to be. */
function toldBy(payload: Uint8Array): Lsn {
  const record = decodeRecord(payload);
  const { position, progressLsn } = record.kind === 'slice' ? record.prev : chainAfter(record);
  return maxLsn(position.lsn, progressLsn);
}

/** The cursors as the store has them, which is what readers see. */
async function shardsOf(
  config: Read<typeof redisSettings>,
  { source, sight }: { readonly source: string; readonly sight: MessagingInspection },
  { clock }: World,
): Promise<Look<{ readonly each: readonly ShardLag[] }>> {
  if (sight.source === undefined) return { problem: `Source ${source} was never set up.` };
  const { incarnation, shards } = sight.source;
  const owners = new Map(sight.routers.flatMap(({ id, owned }) => owned.map((shard) => [shard, id] as const)));
  const options = { ...redisConnection(config), connectionWaitMs: CONNECT_MS };
  const store = openRedisShapeStore(options, { clock, log: silentLogger });
  try {
    const numbers = Array.from({ length: shards }, (_, shard) => shard);
    const each = numbers.map(async (shard): Promise<ShardLag> => {
      const meta = await store.readMeta({ source, incarnation, shard });
      const last = sight.stream?.lastSeq;
      return {
        shard,
        router: owners.get(shard),
        seq: meta?.cursor.seq,
        behindRecords: meta && last !== undefined ? Math.max(0, last - meta.cursor.seq) : undefined,
        watermark: meta && formatLsn(meta.watermark),
        durableSeq: sight.durable.get(shard)?.seq,
      };
    });
    return { each: await Promise.all(each) };
  } finally {
    await store.close();
  }
}

type Read<F extends (...args: never[]) => Settings<unknown>> = ReturnType<F> extends Settings<infer C> ? C : never;

async function look<C, T>(
  settings: Settings<C>,
  measure: (config: C) => Promise<Look<T>>,
  signal: AbortSignal,
): Promise<Look<T>> {
  if (settings.kind === 'unset') return { unset: settings.variable };
  if (settings.kind === 'wrong') return { problem: `${settings.problems.join('; ')}.` };
  try {
    return await measure(settings.config);
  } catch (error) {
    signal.throwIfAborted();
    return { problem: failureOf(error).message };
  }
}
