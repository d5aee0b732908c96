import { readdirSync, readFileSync } from 'node:fs';
import { METRICS, type MetricName } from '@shapecast/telemetry';
import { expect, test } from 'vitest';

const ROOT = new URL('../../', import.meta.url);

/** Programs of the project; not the table itself, nor what is made of it. */
function programs(): string {
  const folders = ['packages', 'services'].flatMap((kind) =>
    readdirSync(new URL(`${kind}/`, ROOT)).map((name) => `${kind}/${name}`),
  );
  return folders
    .filter((folder) => folder !== 'packages/monitoring')
    .flatMap((folder) => {
      const source = new URL(`${folder}/src/`, ROOT);
      return readdirSync(source, { recursive: true, encoding: 'utf8' })
        .filter((file) => file.endsWith('.ts') && !/\.(test|bench|contract)\.ts$/.test(file))
        .filter((file) => !file.startsWith('testing/') && !(folder === 'packages/telemetry' && /^table\//.test(file)))
        .map((file) => readFileSync(new URL(file, source), 'utf8'));
    })
    .join('\n');
}

test('every metric of the table is measured by some program', () => {
  const text = programs();
  // In whole, or the last word below a beginning that several have.
  const named = (name: string) =>
    text.includes(`'${name}'`) ||
    (text.includes(`'${name.slice(0, name.lastIndexOf('.'))}'`) &&
      text.includes(`}${name.slice(name.lastIndexOf('.'))}\``));
  const unfed = (Object.keys(METRICS) as MetricName[]).filter((name) => !named(name));
  expect(unfed).toEqual([]);
});
