import type { MessagingInspection, StoredSight, TxStreamSight } from '@shapecast/messaging';
import { durationText, namesText, shareText, sizeText } from '../output/quantities.ts';
import { checksOf } from './checks.ts';
import { judgeClock } from './clock.ts';
import { failureOf, sentence } from './failure.ts';
import { fail, ok, skipped, warn, type Finding } from './finding.ts';

export interface NatsSettings {
  readonly sourceId: string;
  /** Copies that the streams are to have. */
  readonly streamReplicas: number;
}

/** Fewer lose data with a single server (spec O 8.2.1). */
const SAFE_REPLICAS = 3;
const MIB = 1_048_576;
const FILL_WARN = 0.7;
const FILL_FAIL = 0.9;
/** Of max_age (spec O 10, "router lag"). */
const AGE_WARN = 0.1;
const AGE_FAIL = 0.5;

export function judgeNats(sight: MessagingInspection, settings: NatsSettings): readonly Finding[] {
  const { server, noJetStream } = sight;
  const where = server.cluster === undefined ? 'a single server' : `cluster ${server.cluster}`;
  const first = [
    ok('nats.reachable', `NATS answers, ${where}.`),
    judgeVersion(server.version),
    judgePayload(server.maxPayload),
  ];
  if (noJetStream !== undefined) {
    const rest = checksOf('nats').filter(
      (id) => id !== 'nats.jetstream' && !first.some((finding) => finding.id === id),
    );
    return [
      ...first,
      fail('nats.jetstream', `${noJetStream.split(':')[0]}.`, remedyOf(noJetStream)),
      ...rest.map((id) => skipped(id, 'Not checked: JetStream is off.')),
    ];
  }
  return [
    ...first,
    ok('nats.jetstream', 'JetStream is on.'),
    judgeStorage(sight.storage),
    ...judgeStream(sight, settings),
    judgeBuckets(sight.buckets, settings.streamReplicas),
    judgeClock('nats.clock', 'NATS', sight.clock),
  ];
}

export function judgeNatsUnreachable(error: unknown): Finding {
  const { message, kind } = failureOf(error);
  const unauthorized = kind === 'unauthorized';
  const next = unauthorized
    ? 'Correct the user and password in SHAPECAST_NATS_URL, or the file in SHAPECAST_NATS_CREDS_FILE.'
    : 'Start NATS, or correct SHAPECAST_NATS_URL; a server that lost its quorum does not answer either.';
  return fail('nats.reachable', message, next);
}

function judgeVersion(version: string): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const at = major * 1_000 + minor;
  if (at >= 2_010) return ok('nats.version', `NATS ${version}.`);
  if (at < 2_009) return fail('nats.version', `NATS ${version} is too old.`, 'Upgrade to 2.10 or later.');
  return warn('nats.version', `NATS ${version} is for development.`, 'Upgrade to 2.10 or later for production.');
}

function judgePayload(bytes: number): Finding {
  const what = `max_payload is ${sizeText(bytes)}.`;
  if (bytes < MIB) return fail('nats.max_payload', what, 'Raise max_payload of the NATS servers to 1 MiB at least.');
  if (bytes > 8 * MIB) return warn('nats.max_payload', what, 'Lower max_payload of the NATS servers to 8 MiB at most.');
  return ok('nats.max_payload', what);
}

function judgeStorage(storage: MessagingInspection['storage']): Finding {
  const used = storage?.usedBytes ?? 0;
  const most = storage?.maxBytes;
  if (most === undefined) return ok('nats.storage', `JetStream stores ${sizeText(used)}, the account has no limit.`);
  const what = `JetStream stores ${sizeText(used)} of ${sizeText(most)} (${shareText(used, most)}).`;
  if (used < most * FILL_WARN) return ok('nats.storage', what);
  return warn(
    'nats.storage',
    what,
    'Give the account more storage, or the tx streams a lower SHAPECAST_STREAM_MAX_BYTES.',
  );
}

function judgeStream({ source, stream }: MessagingInspection, settings: NatsSettings): readonly Finding[] {
  const { sourceId } = settings;
  const rest = ['nats.replicas', 'nats.stream_fill', 'nats.stream_age'] as const;
  if (source === undefined) {
    return [
      ok('nats.stream', `Source ${sourceId} was never set up here: its first replicator makes the tx stream.`),
      ...rest.map((id) => skipped(id, 'Not checked: there is no tx stream.')),
    ];
  }
  const { incarnation } = source;
  if (stream === undefined) {
    const what = `The tx stream of source ${sourceId}, incarnation ${incarnation}, is gone.`;
    return [
      fail('nats.stream', what, 'Start a replicator: it begins a new incarnation, and every shape starts over.'),
      ...rest.map((id) => skipped(id, 'Not checked: there is no tx stream.')),
    ];
  }
  const what = `Tx stream ${stream.name} has records ${stream.firstSeq} to ${stream.lastSeq} of incarnation ${incarnation}.`;
  const writable = stream.leaderless
    ? fail(
        'nats.stream',
        `Tx stream ${stream.name} has no leader.`,
        'Start the NATS servers that are away: nothing is stored.',
      )
    : ok('nats.stream', what);
  return [writable, judgeReplicas(stream, settings), judgeFill(stream), judgeAge(stream)];
}

function judgeReplicas({ replicas, behind }: StoredSight, { streamReplicas }: NatsSettings): Finding {
  const copies = replicas === 1 ? '1 copy' : `${replicas} copies`;
  if (behind.length > 0) {
    const what = `The tx stream has ${copies}, of which those on ${namesText(behind)} are away or behind.`;
    return warn('nats.replicas', what, 'Start these NATS servers; one more that goes away stops the source.');
  }
  if (replicas >= Math.max(SAFE_REPLICAS, streamReplicas)) return ok('nats.replicas', `The tx stream has ${copies}.`);
  const next = 'For production run three NATS servers and set SHAPECAST_STREAM_REPLICAS=3.';
  return warn('nats.replicas', `The tx stream has ${copies}: the loss of one server can lose data.`, next);
}

function judgeFill({ bytes, maxBytes }: TxStreamSight): Finding {
  if (maxBytes === undefined) {
    const next = 'Set SHAPECAST_STREAM_MAX_BYTES and restart the replicators.';
    return warn('nats.stream_fill', `The tx stream has ${sizeText(bytes)} and no limit.`, next);
  }
  const what = `The tx stream has ${sizeText(bytes)} of ${sizeText(maxBytes)} (${shareText(bytes, maxBytes)}).`;
  const next =
    'Look why routers lag (shapecast lag), or raise SHAPECAST_STREAM_MAX_BYTES: a full stream stops the source.';
  if (bytes >= maxBytes * FILL_FAIL) return fail('nats.stream_fill', what, next);
  return bytes >= maxBytes * FILL_WARN ? warn('nats.stream_fill', what, next) : ok('nats.stream_fill', what);
}

function judgeAge({ oldestNeededMs, maxAgeMs, gap }: TxStreamSight): Finding {
  const next = 'Look which shard lags (shapecast lag), start routers, or raise SHAPECAST_STREAM_MAX_AGE.';
  if (gap) {
    const what = 'The tx stream begins after records that some shard has not taken over: its shapes start over.';
    return fail('nats.stream_age', what, next);
  }
  if (oldestNeededMs === undefined) return ok('nats.stream_age', 'No shard is known to need an older record.');
  const age = `The oldest record that some shard has not taken over for sure is ${durationText(oldestNeededMs)} old`;
  if (maxAgeMs === undefined) return ok('nats.stream_age', `${age}, and records have no age limit.`);
  const what = `${age}, of ${durationText(maxAgeMs)} that records are kept.`;
  if (oldestNeededMs >= maxAgeMs * AGE_FAIL) return fail('nats.stream_age', what, next);
  return oldestNeededMs >= maxAgeMs * AGE_WARN ? warn('nats.stream_age', what, next) : ok('nats.stream_age', what);
}

function judgeBuckets(buckets: readonly StoredSight[], streamReplicas: number): Finding {
  if (buckets.length === 0) return ok('nats.buckets', 'There are no registries yet.');
  const stopped = buckets.filter(({ leaderless }) => leaderless).map(({ name }) => name);
  if (stopped.length > 0) {
    return fail('nats.buckets', `${namesText(stopped)} have no leader.`, 'Start the NATS servers that are away.');
  }
  const behind = [...new Set(buckets.flatMap((bucket) => bucket.behind))];
  if (behind.length > 0) {
    return warn(
      'nats.buckets',
      `Copies of registries on ${namesText(behind)} are away or behind.`,
      'Start these NATS servers.',
    );
  }
  const few = buckets.filter(({ replicas }) => replicas < streamReplicas).map(({ name }) => name);
  if (few.length > 0) {
    const next = 'Run nats stream edit … --replicas=3 on each; buckets keep what they were made with.';
    return warn('nats.buckets', `${namesText(few)} have fewer copies than SHAPECAST_STREAM_REPLICAS.`, next);
  }
  return ok('nats.buckets', `${buckets.length} registries are there.`);
}

/** The messages of the adapter say after a colon what to do. */
function remedyOf(message: string): string {
  return sentence(message.slice(message.indexOf(': ') + 2));
}
