import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { chooseFaults } from '../nemesis/nemesis.ts';
import { runChaos } from '../run.ts';

const USAGE = `Usage: npm run chaos -- [options]

Random writes and faults against a cluster of its own, while a checker holds what readers are given against Postgres.
Exits with 1 at the first violation.

  --minutes M      how long harm is done (default 3)
  --seed S         of everything that is drawn (default 1)
  --every SECONDS  from the beginning of one fault to that of the next (default 15)
  --faults LIST    words, separated by commas: part of a fault's name, postgres, nats, redis, processes, network, size,
                   default, destructive (default: default)
  --alter WHAT     nothing, tables, or everything: also the publication, so that any shape may end (default tables)
  --nats N         1 or 3 servers (default 3)
  --redis KIND     single, replica, sentinel or cluster (default replica)
  --out DIR        folder for the history and the logs of all processes (default: a temporary one)`;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '3' },
    seed: { type: 'string', default: '1' },
    every: { type: 'string', default: '15' },
    faults: { type: 'string', default: 'default' },
    alter: { type: 'string', default: 'tables' },
    nats: { type: 'string', default: '3' },
    redis: { type: 'string', default: 'replica' },
    out: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
if (values.help) {
  console.log(USAGE);
  process.exit(0);
}
const alter = (['nothing', 'tables', 'everything'] as const).find((what) => what === values.alter);
const redis = (['single', 'replica', 'sentinel', 'cluster'] as const).find((kind) => kind === values.redis);
const nats = ([1, 3] as const).find((count) => String(count) === values.nats);
const [minutes, seed, every] = [values.minutes, values.seed, values.every].map(Number) as [number, number, number];
if (
  alter === undefined ||
  redis === undefined ||
  nats === undefined ||
  !(minutes > 0 && every > 0) ||
  !Number.isInteger(seed)
) {
  console.error(USAGE);
  process.exit(2);
}
const out = values.out === undefined ? await mkdtemp(join(tmpdir(), 'shapecast-chaos-')) : resolve(values.out);
const faults = chooseFaults(values.faults.split(','));
const rotationsAllowed = faults.some((kind) => kind.destructive === true);
const report = await runChaos({
  seed,
  minutes,
  everyMs: every * 1_000,
  faults,
  alter,
  rotationsAllowed,
  cluster: { nats, redis },
  out,
  onProgress: (line) => console.error(line),
});
console.log(JSON.stringify(report, undefined, 2));
if (report.violations.length > 0) {
  const again = process.argv.slice(2).filter((word, i, words) => word !== '--out' && words[i - 1] !== '--out');
  console.log(
    `The history and the logs are in ${out}. Again: npm run chaos -- ${[...again, ...(values.seed === '1' ? ['--seed', '1'] : [])].join(' ')}`,
  );
}
// Left to itself, Node sometimes spins for ever while it closes the handles of thousands of broken connections.
process.exit(report.violations.length === 0 ? 0 : 1);
