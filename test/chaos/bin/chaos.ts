import { createWriteStream } from 'node:fs';
import { parseArgs } from 'node:util';
import { runChaos } from '../run.ts';

/** `npm run chaos`: random writes, alterations and faults against a cluster of its own, for as long as one likes. */

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    rounds: { type: 'string', default: '20' },
    seconds: { type: 'string', default: '15' },
    log: { type: 'string' },
    alter: { type: 'string', default: 'everything' },
  },
});
const { alter } = values;
if (alter !== 'nothing' && alter !== 'tables' && alter !== 'everything') {
  throw new Error('--alter must be nothing, tables or everything');
}
const log = values.log === undefined ? undefined : createWriteStream(values.log);
const { violations, ...rest } = await runChaos({
  seed: Number(values.seed),
  rounds: Number(values.rounds),
  roundMs: Number(values.seconds) * 1_000,
  alter,
  onLog: (name, line) => void log?.write(`${name} ${line}\n`),
  onProgress: (line) => console.error(line),
});
for (const violation of violations) console.log(violation);
console.log(JSON.stringify({ seed: Number(values.seed), ...rest, violations: violations.length }, undefined, 2));
process.exitCode = violations.length === 0 ? 0 : 1;
