import { readFileSync } from 'node:fs';
import { parseSource } from '@shapecast/sources';
import { Ajv } from 'ajv';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { copiedFiles } from './copied-files.ts';
import { CHART, ROOT } from './paths.ts';
import { ciFiles, type Values } from './render.ts';
import { limitsSchema } from './sources-schema.ts';
import { generatedFiles } from './values-docs.ts';

const read = (path: string) => readFileSync(path, 'utf8');
const defaults = parse(read(`${CHART}/values.yaml`)) as Values;
const validate = new Ajv({ allErrors: true, allowUnionTypes: true, strict: false }).compile(
  JSON.parse(read(`${CHART}/values.schema.json`)) as object,
);

test.each([...generatedFiles()])(
  '%s is what the comments of values.yaml say (npm run test:chart -- --write)',
  (path, text) => {
    expect(read(`${CHART}/${path}`)).toBe(text);
  },
);

test.each([...copiedFiles()])('%s is what it was copied from (npm run test:chart -- --write)', (path, text) => {
  expect(read(`${CHART}/${path}`)).toBe(text);
});

test('the chart has the version of the project', () => {
  const { version } = JSON.parse(read(`${ROOT}/package.json`)) as { version: string };
  expect(parse(read(`${CHART}/Chart.yaml`))).toMatchObject({ version, appVersion: version, kubeVersion: '>=1.30.0-0' });
});

describe('values.schema.json', () => {
  const files = ciFiles();
  const problems = (values: Values) => (validate(overlay(defaults, values)) ? [] : validate.errors);

  test('takes values.yaml and each file of ci/', async () => {
    expect(problems({})).toEqual([]);
    for (const file of (await files).values()) expect(problems(parse(read(file)) as Values)).toEqual([]);
  });

  test('takes no key that the chart does not know, on any level', () => {
    for (const values of [
      { replicas: 2 },
      { api: { replicas: 2 } },
      { router: { drain: { spreadSeconds: 5 } } },
      { api: { image: { tags: 'x' } } },
      { networkPolicy: { enable: true } },
      { sources: { acme: { databaseURL: 'postgresql://a/b' } } },
    ]) {
      expect(problems(values)).not.toEqual([]);
    }
  });

  test('takes any field of Kubernetes where the values are its objects, and more in global', () => {
    const values = {
      global: { somebodyElses: 1 },
      defaults: { resources: { requests: { 'ephemeral-storage': '1Gi' } }, affinity: { nodeAffinity: {} } },
      api: { probes: { readiness: { successThreshold: 2 } } },
    };
    expect(problems(values)).toEqual([]);
  });

  test('refuses what is no digest, duration, mode or id', () => {
    for (const values of [
      { defaults: { image: { digest: 'sha256:abc' } } },
      { gateway: { timeouts: { request: '10' } } },
      { mode: 'both' },
      { mode: 'many-sources', sources: { Acme: {} } },
      { sources: { acme: { retention: { maxAge: 'long' } } } },
      { api: { drain: { spreadSeconds: 11 } } },
    ]) {
      expect(problems(values)).not.toEqual([]);
    }
  });

  test('has the limits that sources have', () => {
    const names = Object.keys(limitsSchema['properties'] as object);
    const base = { databaseUrl: 'postgresql://u:p@db/app', insecure: true };
    const nothing = () => '';
    const limits = Object.fromEntries(names.map((name) => [name, 1]));
    expect(parseSource('acme', { ...base, limits }, nothing)).toMatchObject({ ok: true });
    expect(parseSource('acme', { ...base, limits: { other: 1 } }, nothing)).toMatchObject({ ok: false });
    const code = read(`${ROOT}/packages/sources/src/source-limits.ts`);
    expect(names).toEqual([...code.matchAll(/^ {2}(\w+): (?:number|size)\(/gm)].map(([, name]) => name));
  });
});

/** As helm lays values over each other: maps are merged, null takes away. */
function overlay(below: Values, above: Values): Values {
  const made: Record<string, unknown> = { ...below };
  for (const [key, value] of Object.entries(above)) {
    if (value === null) delete made[key];
    else if (isMap(value) && isMap(made[key])) made[key] = overlay(made[key], value);
    else made[key] = value;
  }
  return made;
}

function isMap(value: unknown): value is Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
