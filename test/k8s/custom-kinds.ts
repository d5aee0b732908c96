import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { promisify } from 'node:util';
import { waitFor } from '@shapecast/testkit';
import { parse } from 'yaml';
import { MODULES } from '../chart/versions.ts';
import type { ApiClient } from './api-client.ts';

const run = promisify(execFile);

interface Definition {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly group: string;
    readonly names: { readonly plural: string };
    readonly versions: readonly { readonly name: string; readonly served: boolean }[];
  };
}

/** Makes the kinds of others known that the chart has objects of: the definitions that their modules carry, as they are. */
export async function defineCustomKinds(api: ApiClient): Promise<void> {
  const definitions = (await Promise.all(MODULES.map(({ module, files }) => definitionsOf(module, files)))).flat();
  const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
  for (const definition of definitions) await api.post(path, definition);
  for (const { metadata, spec } of definitions) {
    const [version] = spec.versions.filter(({ served }) => served);
    const list = () => api.list(`/apis/${spec.group}/${version?.name}/${spec.names.plural}`);
    // It is announced before it is there, and meanwhile the server answers 404, then 429.
    const isServed = async () => {
      if (!isEstablished(await api.get(`${path}/${metadata.name}`))) return false;
      return list().then(
        () => true,
        () => false,
      );
    };
    await waitFor(isServed, { describe: () => `${metadata.name} is not known yet`, intervalMs: 200 });
  }
}

async function definitionsOf(module: string, files: readonly string[]): Promise<readonly Definition[]> {
  const env = { ...process.env, GOFLAGS: '-mod=mod' };
  const { stdout } = await run('go', ['mod', 'download', '-json', module], { cwd: tmpdir(), env });
  const folder = (JSON.parse(stdout) as { Dir: string }).Dir;
  return Promise.all(files.map(async (file) => parse(await readFile(`${folder}/${file}`, 'utf8')) as Definition));
}

function isEstablished({ status }: { readonly status?: unknown }): boolean {
  const { conditions = [] } = (status ?? {}) as { conditions?: readonly { type: string; status: string }[] };
  return conditions.some((condition) => condition.type === 'Established' && condition.status === 'True');
}
