import { readdirSync, readFileSync } from 'node:fs';
import { VARIABLES } from '@shapecast/service-kit';
import { manySourcesValues } from './many-sources-values.ts';
import { ROOT } from './paths.ts';

/** Files of the chart that say again what stands elsewhere, because a chart reads no file outside of it: path in the chart to text. */
export function copiedFiles(): ReadonlyMap<string, string> {
  const files = new Map([
    ['files/variables.txt', `${Object.keys(VARIABLES).sort().join('\n')}\n`],
    ['ci/many-tenants-values.yaml', manySourcesValues()],
  ]);
  for (const kind of ['nginx', 'varnish']) {
    for (const name of readdirSync(`${ROOT}/deploy/edge/${kind}`)) {
      files.set(`files/edge/${kind}/${name}`, readFileSync(`${ROOT}/deploy/edge/${kind}/${name}`, 'utf8'));
    }
  }
  return files;
}
