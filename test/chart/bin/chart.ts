import { execFileSync } from 'node:child_process';
import { ROOT } from '../paths.ts';
import { findTool } from '../tools.ts';

/**
 * `npm run test:chart`: builds the tools that tools/go.mod pins, the first time, and runs every check of the chart. With `-- --write` first
 * writes what is made from something else: README.md and values.schema.json of the chart, copies in its files/, goldens.
 */
const write = process.argv.includes('--write');
const options = { cwd: ROOT, stdio: 'inherit', env: { ...process.env, SHAPECAST_TEST_SERVERS: 'none' } } as const;
if (write) execFileSync(process.execPath, ['test/chart/bin/write-generated.ts'], options);
for (const name of ['helm', 'helm3', 'kubeconform'] as const) {
  const startedAt = performance.now();
  const path = await findTool(name);
  if (path !== undefined) console.log(`${name}: ${path} (${((performance.now() - startedAt) / 1000).toFixed(1)} s)`);
}
// Last, or it takes the folder for its value.
execFileSync('npx', ['vitest', 'run', 'test/chart', ...(write ? ['-u'] : [])], options);
