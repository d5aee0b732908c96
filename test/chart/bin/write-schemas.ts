import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { parse } from 'yaml';
import { customSchema, kubernetesSchemas, type OpenApi } from '../kubernetes-schemas.ts';
import { SCHEMAS } from '../paths.ts';
import { KUBERNETES_VERSIONS, MODULES } from '../versions.ts';

/**
 * Writes deploy/helm/schemas from the modules of Kubernetes and of those who define other kinds, which Go fetches: the only step that
 * needs the network. For a new version of one of them, or a new kind in the chart.
 */
function moduleFolder(module: string): string {
  const env = { ...process.env, GOFLAGS: '-mod=mod' };
  const options = { cwd: tmpdir(), env, encoding: 'utf8' } as const;
  return (JSON.parse(execFileSync('go', ['mod', 'download', '-json', module], options)) as { Dir: string }).Dir;
}

function write(folder: string, schemas: ReadonlyMap<string, unknown>): void {
  mkdirSync(`${SCHEMAS}/${folder}`, { recursive: true });
  for (const [name, schema] of schemas)
    writeFileSync(`${SCHEMAS}/${folder}/${name}.json`, `${JSON.stringify(schema)}\n`);
}

rmSync(SCHEMAS, { recursive: true, force: true });
for (const version of KUBERNETES_VERSIONS) {
  const file = `${moduleFolder(`k8s.io/kubernetes@v${version}`)}/api/openapi-spec/swagger.json`;
  write(`v${version}`, kubernetesSchemas(JSON.parse(readFileSync(file, 'utf8')) as OpenApi));
}
for (const { module, files } of MODULES) {
  const folder = moduleFolder(module);
  for (const file of files) write('crds', customSchema(parse(readFileSync(`${folder}/${file}`, 'utf8'))));
}
