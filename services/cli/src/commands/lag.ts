import { EXIT, secondsOf, textOf, WrongUsage, type Command, type Values, type World } from '../command.ts';
import { ADMIN_FLAGS } from '../admin/admin-client.ts';
import { askStages } from '../lag/stages.ts';
import { stagesText } from './sources-show.ts';
import { askProcesses, type ProcessReport } from '../lag/ask-processes.ts';
import { measureLag, type LagReport } from '../lag/measure-lag.ts';
import { sizeText } from '../output/quantities.ts';
import { table } from '../output/table.ts';
import { SOURCES_FLAGS, worldOfSource } from '../sources/one-source.ts';

const TIMEOUT_MS = 15_000;

export const lag: Command = {
  flags: {
    health: { type: 'string', value: 'URLS', about: 'Health ports of processes to ask, too, separated by commas.' },
    timeout: { type: 'string', value: 'SECONDS', about: 'How long the servers may take; 15 unless given.' },
    ...ADMIN_FLAGS,
    json: { type: 'boolean', about: 'The figures as JSON.' },
    ...SOURCES_FLAGS,
  },
  async run(values, given) {
    const world = worldOfSource(values, given);
    const urls = healthUrls(values);
    const late = new AbortController();
    const timeoutMs = secondsOf(values, 'timeout', TIMEOUT_MS);
    const cancel = world.clock.after(timeoutMs, () => late.abort(new Error('the servers did not answer in time')));
    const signal = AbortSignal.any([world.signal, late.signal]);
    let report: Report;
    try {
      const [found, processes] = await Promise.all([
        measureLag({ ...world, signal }),
        askProcesses(urls, world.fetch, signal),
      ]);
      const stages = await askStages(values, { ...world, signal }, found.source);
      report = { ...found, stages, processes };
    } catch (error) {
      if (!late.signal.aborted) throw error;
      world.err('The servers did not answer in time: shapecast doctor says which one.');
      return EXIT.failed;
    } finally {
      cancel();
    }
    const { postgres, stream, stages, shards, processes } = report;
    if ('unset' in postgres && 'unset' in stream && processes.length === 0) {
      throw new WrongUsage('There is nothing to look at: set DATABASE_URL, SHAPECAST_NATS_URL, SHAPECAST_REDIS_URL.');
    }
    if (values['json'] === true) world.out(JSON.stringify(report, undefined, 2));
    else print(report, world);
    const failed = [postgres, stream, stages, shards].some((part) => 'problem' in part);
    return failed ? EXIT.failed : EXIT.ok;
  },
};

type Report = LagReport & {
  readonly stages: Awaited<ReturnType<typeof askStages>>;
  readonly processes: readonly ProcessReport[];
};

function print({ source, postgres, stream, stages, shards, processes }: Report, { out }: World) {
  out(`source    ${source}`);
  if ('wal' in postgres) {
    const { wal, confirmed, unconfirmedBytes, retainedBytes } = postgres;
    out(
      `postgres  at ${wal}, confirmed ${confirmed} (${sizeText(unconfirmedBytes)} less), keeps ${sizeText(retainedBytes)} of WAL`,
    );
  } else out(`postgres  ${reasonOf(postgres)}`);
  if ('lastSeq' in stream) {
    const { incarnation, leader = 'nobody', lastSeq, lsn = 'nothing', bytes, behindPostgresBytes } = stream;
    const behind = behindPostgresBytes === undefined ? '' : ` (${sizeText(behindPostgresBytes)} less)`;
    out(
      `stream    incarnation ${incarnation}, written by ${leader}, record ${lastSeq}, tells up to ${lsn}${behind}, ${sizeText(bytes)}`,
    );
  } else out(`stream    ${reasonOf(stream)}`);
  out(`stages    ${'problem' in stages || 'unset' in stages ? reasonOf(stages) : stagesText(stages)}`);
  if ('each' in shards) {
    const rows = shards.each.map((shard) => [
      String(shard.shard),
      shard.router ?? '-',
      ...[shard.seq, shard.behindRecords, shard.durableSeq].map((value) => (value === undefined ? '-' : String(value))),
      shard.watermark ?? '-',
    ]);
    out(`\n${table([['shard', 'router', 'applied', 'behind', 'for sure', 'up to'], ...rows])}`);
  } else out(`shards    ${reasonOf(shards)}`);
  if (processes.length === 0) return;
  const rows = processes.map(({ url, status, lag: behind, lastError }) => [
    url,
    status ?? '-',
    behind === undefined ? '-' : String(behind),
    lastError ?? '',
  ]);
  out(`\n${table([['process', 'status', 'behind', 'last error'], ...rows])}`);
}

function reasonOf(look: { readonly problem: string } | { readonly unset: string }): string {
  return 'problem' in look ? look.problem : `not looked at: ${look.unset} is not set`;
}

function healthUrls(values: Values): readonly string[] {
  const texts = (textOf(values, 'health') ?? '').split(',').filter(Boolean);
  return texts.map((text) => {
    const url = URL.parse(text.trim());
    if (url === null || !/^https?:$/.test(url.protocol)) {
      throw new WrongUsage('--health expects addresses such as http://localhost:3001, separated by commas.');
    }
    return url.origin;
  });
}
