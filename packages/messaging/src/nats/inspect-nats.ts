import {
  JetStreamApiError,
  jetstreamManager,
  type JetStreamManager,
  type StoredMsg,
  type StreamInfo,
} from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { ShapecastError } from '@shapecast/errors';
import { clockOffset, wallTime, withoutCredentials, type Clock } from '@shapecast/service-kit';
import { durableKey, type DurableRecord } from '../durable-cursors.ts';
import type { MessagingInspection, MessagingServer, StoredSight, TxStreamSight } from '../messaging-inspection.ts';
import {
  BUCKETS,
  isOfLife,
  processKey,
  type LeaderRecord,
  type ProcessRecord,
  type RouterRecord,
  type SourceRecord,
} from '../records.ts';
import { txStreamName, txSubject } from '../subjects.ts';
import type { TxStreamId } from '../tx-stream.ts';
import { toUnavailable } from './link.ts';
import { connectionOptions, requireJetStream, type NatsMessagingOptions } from './open-nats-messaging.ts';
import { parseNatsUrl } from './servers.ts';

const NO_STREAM = 10059;
const NO_MESSAGE = 10037;
const API_TIMEOUT_MS = 5_000;
const NANOS = 1_000_000;

type ConnectionOptions = Pick<NatsMessagingOptions, 'url' | 'credsFile' | 'caFile'>;

/**
 * Looks at the servers and at what they hold of a source. Connects once, creates nothing and waits for nobody. Throws
 * STREAM_UNAVAILABLE.
 */
export async function inspectNats(
  options: ConnectionOptions,
  source: string,
  { clock }: { readonly clock: Clock },
  signal: AbortSignal,
): Promise<MessagingInspection> {
  signal.throwIfAborted();
  const nc = await open(options);
  const cut = () => void nc.close();
  signal.addEventListener('abort', cut, { once: true });
  try {
    return await look(nc, source, clock);
  } catch (error) {
    signal.throwIfAborted();
    throw toUnavailable('look at NATS', error);
  } finally {
    signal.removeEventListener('abort', cut);
    await nc.close();
  }
}

async function open(options: ConnectionOptions): Promise<NatsConnection> {
  const servers = parseNatsUrl(options.url);
  try {
    return await connect({
      ...connectionOptions(servers, { ...options, name: 'shapecast doctor' }),
      reconnect: false,
      maxReconnectAttempts: 0,
    });
  } catch (error) {
    const { name = '', message = '' } = error instanceof Error ? error : {};
    const refused = name === 'AuthorizationError' || /authoriz|authentic/i.test(message);
    const why = refused
      ? 'NATS rejected the user, password, token or credentials'
      : `no server answered (${withoutCredentials(message)})`;
    const details = { reason: refused ? 'unauthorized' : 'disconnected' };
    throw new ShapecastError('STREAM_UNAVAILABLE', `cannot connect to ${servers.display}: ${why}`, details, error);
  }
}

async function look(nc: NatsConnection, source: string, clock: Clock): Promise<MessagingInspection> {
  const { info } = nc;
  if (!info) throw new Error('a connected NATS client has no server info');
  const cluster = info.cluster === undefined || info.cluster === '' ? undefined : info.cluster;
  const server: MessagingServer = { version: info.version, maxPayload: info.max_payload, cluster };
  try {
    await requireJetStream(nc);
  } catch (error) {
    if (!(error instanceof ShapecastError)) throw error;
    return { ...EMPTY, server, noJetStream: error.message };
  }
  const jsm = await jetstreamManager(nc, { timeout: API_TIMEOUT_MS, checkAPI: false });
  const records = new Records(jsm);
  const account = await jsm.getAccountInfo();
  const buckets = await Promise.all(Object.values(BUCKETS).map(({ name }) => infoOf(jsm, `KV_${name}`)));
  const record = await records.get<SourceRecord>(BUCKETS.sources.name, source);
  const durable = record ? await records.durable(source, record) : new Map<number, DurableRecord>();
  const found = buckets.filter((bucket) => bucket !== undefined);
  return {
    server,
    noJetStream: undefined,
    storage: {
      usedBytes: account.storage,
      maxBytes: account.limits.max_storage > 0 ? account.limits.max_storage : undefined,
    },
    source: record,
    leader: await records.get<LeaderRecord>(BUCKETS.leaders.name, source),
    routers: await liveRouters(records, source),
    durable,
    stream: record && (await streamSight(jsm, { source, ...record }, durable, clock)),
    buckets: found.map(storedSight),
    clock: await timeOf(jsm, found[0], clock),
  };
}

/** The records of one that has died are there for a while. */
async function liveRouters(records: Records, source: string): Promise<readonly RouterRecord[]> {
  const routers = await records.list<RouterRecord>(BUCKETS.routers.name, `${source}.*`);
  const alive = await Promise.all(
    routers.map(({ id }) => records.get<ProcessRecord>(BUCKETS.processes.name, processKey(id))),
  );
  return routers.filter((router, i) => isOfLife(router, alive[i]));
}

const EMPTY = {
  storage: undefined,
  source: undefined,
  leader: undefined,
  routers: [],
  durable: new Map<number, DurableRecord>(),
  stream: undefined,
  buckets: [],
  clock: undefined,
} as const;

/** Records of the registries, read without opening them: that would make the buckets that are missing. */
class Records {
  readonly #jsm: JetStreamManager;

  constructor(jsm: JetStreamManager) {
    this.#jsm = jsm;
  }

  async get<T>(bucket: string, key: string): Promise<T | undefined> {
    const message = await messageOf(this.#jsm, `KV_${bucket}`, { last_by_subj: `$KV.${bucket}.${key}` });
    // A deletion is a message, too.
    return message === undefined || message.header.has('KV-Operation') ? undefined : message.json<T>();
  }

  /** `filter` is a subject: the keys have words that stand for any. */
  async list<T>(bucket: string, filter: string): Promise<readonly T[]> {
    const root = `$KV.${bucket}.`;
    const info = await infoOf(this.#jsm, `KV_${bucket}`, root + filter);
    const keys = Object.keys(info?.state.subjects ?? {}).map((subject) => subject.slice(root.length));
    const values = await Promise.all(keys.sort().map((key) => this.get<T>(bucket, key)));
    return values.filter((value) => value !== undefined);
  }

  async durable(source: string, { incarnation, shards }: SourceRecord): Promise<Map<number, DurableRecord>> {
    const numbers = Array.from({ length: shards }, (_, shard) => shard);
    const known = new Map<number, DurableRecord>();
    await Promise.all(
      numbers.map(async (shard) => {
        const cursor = await this.get<DurableRecord>(BUCKETS.durable.name, durableKey(source, incarnation, shard));
        if (cursor !== undefined) known.set(shard, cursor);
      }),
    );
    return known;
  }
}

async function streamSight(
  jsm: JetStreamManager,
  { source, incarnation, shards }: TxStreamId & { readonly shards: number },
  durable: ReadonlyMap<number, DurableRecord>,
  clock: Clock,
): Promise<TxStreamSight | undefined> {
  const id = { source, incarnation };
  const info = await infoOf(jsm, txStreamName(id));
  if (info === undefined) return undefined;
  const { config, state } = info;
  const last = await messageOf(jsm, config.name, { last_by_subj: txSubject(id) });
  // Shards that have not told may need everything, or nothing: that is not known.
  const stored = durable.size < shards ? undefined : Math.min(...[...durable.values()].map(({ seq }) => seq));
  const needed = stored === undefined || stored >= state.last_seq ? undefined : stored + 1;
  const message = needed === undefined ? undefined : await messageOf(jsm, config.name, { seq: needed });
  return {
    ...storedSight(info),
    firstSeq: state.first_seq,
    lastSeq: state.last_seq,
    bytes: state.bytes,
    maxBytes: config.max_bytes > 0 ? config.max_bytes : undefined,
    maxAgeMs: config.max_age > 0 ? config.max_age / NANOS : undefined,
    last: last?.data,
    oldestNeededMs: message && Math.max(0, wallTime(clock) - Date.parse(message.timestamp)),
    gap: needed !== undefined && needed < state.first_seq,
  };
}

function storedSight({ config, cluster }: StreamInfo): StoredSight {
  return {
    name: config.name,
    replicas: config.num_replicas,
    leaderless: config.num_replicas > 1 && !cluster?.leader,
    behind: (cluster?.replicas ?? []).filter(({ current, offline }) => offline || !current).map(({ name }) => name),
  };
}

/** A description of a stream has the time it was made at, from 2.10 on. */
function timeOf(jsm: JetStreamManager, info: StreamInfo | undefined, clock: Clock) {
  if (info?.ts === undefined) return undefined;
  return clockOffset(clock, async () => Date.parse((await jsm.streams.info(info.config.name)).ts ?? ''));
}

/** Undefined when there is no such stream. */
async function infoOf(jsm: JetStreamManager, name: string, subjects?: string): Promise<StreamInfo | undefined> {
  try {
    return await jsm.streams.info(name, subjects === undefined ? undefined : { subjects_filter: subjects });
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === NO_STREAM) return undefined;
    throw error;
  }
}

/** Undefined when there is no such message, or no such stream. */
async function messageOf(
  jsm: JetStreamManager,
  stream: string,
  query: { readonly seq: number } | { readonly last_by_subj: string },
): Promise<StoredMsg | undefined> {
  try {
    return (await jsm.streams.getMessage(stream, query)) ?? undefined;
  } catch (error) {
    if (error instanceof JetStreamApiError && [NO_STREAM, NO_MESSAGE].includes(error.code)) return undefined;
    throw error;
  }
}
