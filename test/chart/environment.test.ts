import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname } from 'node:path';
import { parseApiConfig } from '@shapecast/api';
import { parseReplicatorConfig } from '@shapecast/replicator';
import { parseRouterConfig } from '@shapecast/router';
import { VARIABLES } from '@shapecast/service-kit';
import { parseSourcesFile, processEnvironment, registrySources } from '@shapecast/sources';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ciFiles, component, objectsOf, podsOf, render, type Container, type Rendered } from './render.ts';
import { findTool } from './tools.ts';

const helm = await findTool('helm');
const files = await ciFiles();
const PARSERS = { api: parseApiConfig, router: parseRouterConfig, replicator: parseReplicatorConfig } as const;
const SERVICES = Object.keys(PARSERS) as (keyof typeof PARSERS)[];

/** What Secrets of the user would hold, by what their variable is for. */
const CONFIDENTIAL: Readonly<Record<string, string>> = {
  DATABASE_URL: 'postgresql://shapecast:password@db/app',
  ELECTRIC_POOLED_DATABASE_URL: 'postgresql://shapecast:password@pooler/app',
  SHAPECAST_NATS_URL: 'nats://nats:4222',
  SHAPECAST_REDIS_URL: 'redis://redis:6379',
  SHAPECAST_SOURCES_KEY: Buffer.alloc(32, 1).toString('base64'),
  SHAPECAST_SOURCES_API_KEY: Buffer.alloc(32, 2).toString('base64'),
  SHAPECAST_ADMIN_TOKEN: 'a-token-of-enough-characters',
};

const FILES: Readonly<Record<string, string>> = {
  SHAPECAST_ACCESS_FILE: JSON.stringify({
    jwt: { jwksUrl: 'https://id.example.com/keys', audience: 'shapes' },
    rules: [{ table: 'items' }],
  }),
};

// Without Go to build it there is no helm; findTool has said so.
describe.skipIf(helm === undefined)('the services take the environment that the chart gives them', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(`${tmpdir()}/shapecast-chart-`);
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** As the kubelet would make it: Secrets are looked up, files are there, below `folder`. */
  function environmentOf({ env = [], volumeMounts = [] }: Container, objects: readonly Rendered[]) {
    return Object.fromEntries(
      env.map(({ name, value, valueFrom }) => {
        const { secretKeyRef } = valueFrom ?? {};
        const secret = objects.find(({ kind, metadata }) => kind === 'Secret' && metadata.name === secretKeyRef?.name);
        const text =
          value ??
          secret?.stringData?.[secretKeyRef?.key ?? ''] ??
          (secretKeyRef ? CONFIDENTIAL[name] : 'shapecast-pod-1');
        if (!text?.startsWith('/')) return [name, text];
        expect(volumeMounts.map(({ mountPath }) => mountPath)).toContain(dirname(text));
        mkdirSync(dirname(folder + text), { recursive: true });
        writeFileSync(folder + text, FILES[name] ?? 'content\n');
        return [name, folder + text];
      }),
    );
  }

  test.each([...files])('%s', async (_, file) => {
    const objects = (await render(helm as string, [file])).map((object) => ({
      ...object,
      metadata: { ...object.metadata, name: object.metadata.name.replace('sync-production', 'shapecast') },
    }));
    for (const service of SERVICES) {
      const env = environmentOf(component(objects, service).main, objects);
      const many = registrySources(service, env) !== undefined;
      expect(() => PARSERS[service](many ? processEnvironment(env) : env)).not.toThrow();
      const ours = Object.keys(env).filter((name) => /^(SHAPECAST|ELECTRIC)_/.test(name));
      expect(ours.filter((name) => !Object.hasOwn(VARIABLES, name))).toEqual([]);
    }
  });

  test('and so does the program that removes a source', async () => {
    const objects = await render(helm as string, [files.get('single-tenant') as string]);
    const [pod] = [...podsOf(objects.filter(({ kind }) => kind === 'Job')).values()];
    const env = environmentOf(pod?.spec.containers[0] as Container, objects);
    expect(parseReplicatorConfig(env)).toMatchObject({ sourceId: 'single_stack', slotName: 'electric_slot_default' });
  });

  test('and the sources of the values', async () => {
    for (const [name, file] of files) {
      const objects = await render(helm as string, [file]);
      const text = objects.find(({ metadata }) => metadata.name.endsWith('-sources'))?.stringData?.['sources.yaml'];
      if (text === undefined) continue;
      // Each Secret holds another database.
      const parsed = parseSourcesFile(text, (from) => `postgresql://u:p@db/${'file' in from ? from.file : from.env}`);
      expect(parsed, name).toMatchObject({ ok: true });
      if (parsed.ok) expect(parsed.sources.size).toBe(200);
    }
    expect.assertions(2);
  });
});

test('objects are read document by document', () => {
  expect(objectsOf('---\n# nothing\n---\nkind: A\n---\nkind: B\n').map(({ kind }) => kind)).toEqual(['A', 'B']);
});
