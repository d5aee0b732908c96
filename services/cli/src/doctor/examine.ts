import { openSourceInspection } from '@shapecast/change-source';
import { inspectNats } from '@shapecast/messaging';
import { databaseConnection, redisConnection, silentLogger } from '@shapecast/service-kit';
import { inspectRedis } from '@shapecast/shape-store';
import type { World } from '../command.ts';
import { durationText } from '../output/quantities.ts';
import { judgeApi } from './api.ts';
import { CHECKS, checksOf, type CheckId, type Group } from './checks.ts';
import { fail, ok, skipped, type Finding } from './finding.ts';
import { judgeNats, judgeNatsUnreachable } from './nats.ts';
import { judgeDirect, judgeQuery, judgeReplication, judgeUnreachable } from './postgres.ts';
import { judgeRedis, judgeRedisUnreachable } from './redis.ts';
import { natsSettings, postgresSettings, redisSettings, type Settings } from './settings.ts';

export interface ExamineOptions {
  readonly apiUrl: string | undefined;
  /** Whose health the API is asked for; undefined with one source. */
  readonly sourceId: string | undefined;
  /** How long each server may take for all its checks. */
  readonly timeoutMs: number;
}

/** Runs all checks, those of different servers at the same time. One finding for each, in their order. */
export async function examine(world: World, options: ExamineOptions): Promise<readonly Finding[]> {
  const { env } = world;
  const [pg, nats, redis] = [postgresSettings(env), natsSettings(env), redisSettings(env)];
  const { apiUrl, sourceId } = options;
  const look = new Examination(world, options.timeoutMs);
  const found = await Promise.all([
    look.run('pg', pg, (config, signal) => postgresFindings(config, world, signal)),
    look.run('nats', nats, (config, signal) => natsFindings(config, world, signal)),
    look.run('redis', redis, (config, signal) => redisFindings(config, world, signal)),
    look.run(
      'api',
      apiUrl === undefined ? { kind: 'unset', variable: '--api' } : { kind: 'read', config: apiUrl },
      (url, signal) => judgeApi({ url, sourceId }, world.fetch, signal),
    ),
  ]);
  const all = [...judgeSettings(pg, nats, redis), ...found.flat()];
  const byId = new Map(all.map((finding) => [finding.id, finding]));
  return (Object.keys(CHECKS) as CheckId[]).map((id) => byId.get(id) ?? skipped(id, 'Not checked.'));
}

type Checks<T> = (config: T, signal: AbortSignal) => Promise<readonly Finding[]>;

class Examination {
  readonly #world: World;
  readonly #timeoutMs: number;

  constructor(world: World, timeoutMs: number) {
    this.#world = world;
    this.#timeoutMs = timeoutMs;
  }

  /** Whatever becomes of the checks of one server, each of them has its finding. */
  async run<T>(group: Group, settings: Settings<T>, checks: Checks<T>): Promise<readonly Finding[]> {
    const ids = checksOf(group);
    if (settings.kind === 'unset') return ids.map((id) => skipped(id, `Not checked: ${settings.variable} is not set.`));
    if (settings.kind === 'wrong') return ids.map((id) => skipped(id, 'Not checked: its settings are wrong.'));
    const found = await this.#inTime(ids, (signal) => checks(settings.config, signal));
    const why = found.find(({ status }) => status === 'fail')?.message ?? 'it could not be found out.';
    const rest = ids.filter((id) => !found.some((finding) => finding.id === id));
    return [...found, ...rest.map((id) => skipped(id, `Not checked: ${why}`))];
  }

  async #inTime(
    ids: readonly CheckId[],
    work: (signal: AbortSignal) => Promise<readonly Finding[]>,
  ): Promise<readonly Finding[]> {
    const { clock, signal } = this.#world;
    const late = new AbortController();
    const timeout = Promise.withResolvers<readonly Finding[]>();
    const [first] = ids;
    const cancel = clock.after(this.#timeoutMs, () => {
      late.abort(new Error('the checks took too long'));
      const what = `No answer to the checks within ${durationText(this.#timeoutMs)}.`;
      timeout.resolve(
        first === undefined
          ? []
          : [fail(first, what, 'Look whether the server hangs or the network drops packets, or give --timeout more.')],
      );
    });
    const all = AbortSignal.any([signal, late.signal]);
    try {
      return await Promise.race([
        // A timer of the clock keeps no process alive, so neither may the wait for it be all there is.
        work(all).catch((error: unknown) => {
          if (late.signal.aborted && !signal.aborted) return timeout.promise;
          throw error;
        }),
        timeout.promise,
      ]);
    } finally {
      cancel();
    }
  }
}

function judgeSettings(...all: readonly Settings<unknown>[]): readonly Finding[] {
  const problems = [...new Set(all.flatMap((settings) => (settings.kind === 'wrong' ? settings.problems : [])))];
  if (problems.length === 0) return [ok('config.valid', 'The settings of the servers can be read.')];
  return [
    fail(
      'config.valid',
      `${problems.join('; ')}.`,
      'Correct these variables: shapecast config validate shows all of them.',
    ),
  ];
}

type Read<T> = T extends { readonly kind: 'read'; readonly config: infer C } ? C : never;

async function postgresFindings(
  config: Read<ReturnType<typeof postgresSettings>>,
  world: World,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const { databaseUrl: url, queryUrl, slotName, publicationName, manualPublishing } = config;
  const inspection = openSourceInspection(
    { url, queryUrl, slotName, publicationName, manualPublishing, connection: databaseConnection(config) },
    { clock: world.clock, log: silentLogger },
  );
  const direct = await settled(inspection.direct(signal), signal);
  if ('error' in direct) return [judgeUnreachable('pg.reachable', direct.error)];
  const oids = direct.value.publication?.tables.map(({ oid }) => oid) ?? [];
  const settings = {
    slotName,
    publicationName,
    manualPublishing,
    ownQueryUrl: queryUrl !== undefined && queryUrl !== url,
  };
  // After the first look, which counts WAL senders.
  const [replication, query] = await Promise.all([
    settled(inspection.replication(signal), signal),
    settled(inspection.query(oids, signal), signal),
  ]);
  return [
    ...judgeDirect(direct.value, settings),
    'error' in replication ? judgeUnreachable('pg.replication', replication.error) : judgeReplication(direct.value),
    ...('error' in query
      ? [judgeUnreachable('pg.query_url', query.error)]
      : judgeQuery(query.value, direct.value, settings)),
  ];
}

async function natsFindings(
  config: Read<ReturnType<typeof natsSettings>>,
  world: World,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const { natsUrl: url, natsCredsFile: credsFile, natsCaFile: caFile, sourceId } = config;
  const files = { ...(credsFile === undefined ? {} : { credsFile }), ...(caFile === undefined ? {} : { caFile }) };
  const sight = await settled(inspectNats({ url, ...files }, sourceId, world, signal), signal);
  return 'error' in sight ? [judgeNatsUnreachable(sight.error)] : judgeNats(sight.value, config);
}

async function redisFindings(
  config: Read<ReturnType<typeof redisSettings>>,
  world: World,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const sight = await settled(inspectRedis(redisConnection(config), world, signal), signal);
  return 'error' in sight
    ? [judgeRedisUnreachable(sight.error)]
    : judgeRedis(sight.value, { cluster: config.redisCluster });
}

/** A failure is a finding, too, unless nobody waits for it any more. */
async function settled<T>(
  work: Promise<T>,
  signal: AbortSignal,
): Promise<{ readonly value: T } | { readonly error: unknown }> {
  try {
    return { value: await work };
  } catch (error) {
    signal.throwIfAborted();
    return { error };
  }
}
