import { parseArgs } from 'node:util';
import { bigTransaction } from './big-transaction.ts';
import { catchUp } from './catch-up.ts';
import { crossTenant } from './cross-tenant.ts';
import { edge } from './edge.ts';
import { handOver } from './hand-over.ts';
import { idleSources } from './idle-sources.ts';
import { initialSync } from './initial-sync.ts';
import { machine } from './machine.ts';
import { manySources } from './many-sources.ts';
import { noisyNeighbour } from './noisy-neighbour.ts';
import { ownership } from './ownership.ts';
import { parked } from './parked.ts';
import { retainedWal } from './retained-wal.ts';
import { rollingRestart } from './rolling-restart.ts';
import { throughput } from './throughput.ts';

const SCENARIOS = {
  'big-transaction': bigTransaction,
  'catch-up': catchUp,
  'cross-tenant': crossTenant,
  edge,
  'hand-over': handOver,
  'idle-sources': idleSources,
  'initial-sync': initialSync,
  'many-sources': manySources,
  'noisy-neighbour': noisyNeighbour,
  ownership,
  parked,
  'retained-wal': retainedWal,
  'rolling-restart': rollingRestart,
  throughput,
} as const;

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    shapes: { type: 'string', default: '1000' },
    changes: { type: 'string', default: '100000' },
    'changes-per-transaction': { type: 'string', default: '100' },
    spread: { type: 'string', default: 'each' },
    routers: { type: 'string', default: '2' },
    apis: { type: 'string', default: '2' },
    replicators: { type: 'string', default: '2' },
    runs: { type: 'string', default: '1' },
    edge: { type: 'string', default: 'varnish' },
    clients: { type: 'string', default: '1000' },
    updates: { type: 'string', default: '20' },
    'rolling-shapes': { type: 'string', default: '100' },
    'writes-per-second': { type: 'string', default: '50' },
    'writes-per-source': { type: 'string', default: '5' },
    sources: { type: 'string', default: '50' },
    connections: { type: 'string', default: '16' },
    seconds: { type: 'string', default: '10' },
    requests: { type: 'string', default: '1000000' },
    rows: { type: 'string', default: '500000' },
    mib: { type: 'string', default: '256' },
  },
});

function wholeNumber(name: Exclude<keyof typeof values, 'spread' | 'edge'>): number {
  const value = Number(values[name]);
  if (Number.isInteger(value) && value >= 1) return value;
  throw new Error(`--${name} must be a whole number of at least 1`);
}

const name = positionals[0] ?? '';
if (!(name in SCENARIOS)) {
  console.error(`Usage: npm run bench -- <scenario> [options]. Scenarios: ${Object.keys(SCENARIOS).join(', ')}`);
  process.exit(2);
}
if (values.spread !== 'each' && values.spread !== 'one') {
  console.error(
    '--spread must be "each" (every row of a transaction to another shape) or "one" (all rows to one shape)',
  );
  process.exit(2);
}
if (values.edge !== 'nginx' && values.edge !== 'varnish') {
  console.error('--edge must be nginx or varnish');
  process.exit(2);
}

const result = await SCENARIOS[name as keyof typeof SCENARIOS]({
  shapes: wholeNumber('shapes'),
  changes: wholeNumber('changes'),
  changesPerTransaction: wholeNumber('changes-per-transaction'),
  spread: values.spread,
  routers: wholeNumber('routers'),
  apis: wholeNumber('apis'),
  replicators: wholeNumber('replicators'),
  runs: wholeNumber('runs'),
  edge: values.edge,
  clients: wholeNumber('clients'),
  updates: wholeNumber('updates'),
  rollingShapes: wholeNumber('rolling-shapes'),
  writesPerSecond: wholeNumber('writes-per-second'),
  writesPerSource: wholeNumber('writes-per-source'),
  sources: wholeNumber('sources'),
  connections: wholeNumber('connections'),
  seconds: wholeNumber('seconds'),
  requests: wholeNumber('requests'),
  rows: wholeNumber('rows'),
  mib: wholeNumber('mib'),
});
console.log(JSON.stringify({ scenario: name, ...result, machine: machine() }));
