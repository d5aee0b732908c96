import { readFileSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';
import { expect, test } from 'vitest';
import { SCENARIOS } from '../../loadtest/lib/plans.ts';
import { PROFILES } from '../../loadtest/lib/profiles.ts';

interface TestRun {
  readonly kind: string;
  readonly spec: {
    readonly script: { readonly configMap: { readonly file: string } };
    readonly arguments: string;
  };
}

interface Deployment {
  readonly kind: string;
  readonly spec: {
    readonly template: { readonly spec: { readonly containers: readonly [{ args: readonly string[] }] } };
  };
}

const text = readFileSync(new URL('../../loadtest/k8s/testrun.yaml', import.meta.url), 'utf8');
const documents = parseAllDocuments(text);
const ofKind = (kind: string): unknown =>
  documents.map((document) => document.toJS() as { kind: string }).find((object) => object.kind === kind);

test('the writer and k6 of the manifest run the same scenario and profile', () => {
  expect(documents.flatMap(({ errors }) => errors)).toEqual([]);
  const { args } = (ofKind('Deployment') as Deployment).spec.template.spec.containers[0];
  const argument = (name: string): string => args[args.indexOf(name) + 1] ?? '';
  const run = (ofKind('TestRun') as TestRun).spec;
  expect(SCENARIOS).toContain(argument('--scenario'));
  expect(run.script.configMap.file).toBe(`${argument('--scenario')}.tar`);
  expect(Object.keys(PROFILES)).toContain(argument('--profile'));
  expect(run.arguments).toContain(`-e PROFILE=${argument('--profile')}`);
  expect(run.arguments).toContain(`:${argument('--port')}`);
});
