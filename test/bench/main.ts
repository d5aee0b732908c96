import { parseArgs } from 'node:util';
import { machine } from './machine.ts';
import { throughput } from './throughput.ts';

const SCENARIOS = { throughput } as const;

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
  },
});

function wholeNumber(name: Exclude<keyof typeof values, 'spread'>): number {
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

const result = await SCENARIOS[name as keyof typeof SCENARIOS]({
  shapes: wholeNumber('shapes'),
  changes: wholeNumber('changes'),
  changesPerTransaction: wholeNumber('changes-per-transaction'),
  spread: values.spread,
  routers: wholeNumber('routers'),
  apis: wholeNumber('apis'),
  replicators: wholeNumber('replicators'),
  runs: wholeNumber('runs'),
});
console.log(JSON.stringify({ scenario: name, ...result, machine: machine() }));
