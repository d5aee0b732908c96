import { parseArgs } from 'node:util';
import { runFuzz } from '../run.ts';

/** `npm run fuzz:http`: random requests against a cluster of its own, for as long as one likes. */

const { values } = parseArgs({
  options: { requests: { type: 'string', default: '1000000' }, seed: { type: 'string', default: '1' } },
});
const began = performance.now();
const report = await runFuzz({
  seed: Number(values.seed),
  requests: Number(values.requests),
  onProgress: (done) => console.error(`${done} requests, ${Math.round((performance.now() - began) / 1000)} s`),
});
const { violations, ...rest } = report;
for (const violation of violations) console.log(violation);
console.log(JSON.stringify({ seed: Number(values.seed), ...rest, violations: violations.length }));
process.exitCode = violations.length === 0 ? 0 : 1;
