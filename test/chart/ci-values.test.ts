import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { CHART, GOLDEN, SCHEMAS } from './paths.ts';
import { duplicates, podSecurityProblems } from './pod-security.ts';
import { ciFiles, objectsOf, podsOf, render, template, type Rendered } from './render.ts';
import { findTool } from './tools.ts';
import { KUBERNETES_VERSIONS } from './versions.ts';

const run = promisify(execFile);
const helm = await findTool('helm');
const helm3 = await findTool('helm3');
const kubeconform = await findTool('kubeconform');
const files = await ciFiles();

/** A release is stored in a Secret, which has at most 1 MiB. */
const MAX_BYTES = 900 * 1024;

const LOCATIONS = [
  `${SCHEMAS}/{{.NormalizedKubernetesVersion}}/{{.ResourceKind}}{{.KindSuffix}}.json`,
  `${SCHEMAS}/crds/{{.ResourceKind}}-{{.Group}}-{{.ResourceAPIVersion}}.json`,
];

test('there are values for each situation that the specification names', () => {
  expect([...files.keys()]).toEqual(
    expect.arrayContaining([
      ...['minimal', 'demo', 'ha', 'production', 'byo-everything', 'keda', 'gateway', 'monitoring'],
      ...['single-tenant', 'many-tenants'],
    ]),
  );
});

// Without Go to build it there is no helm; findTool has said so.
describe.skipIf(helm === undefined)('what the chart makes of the values in ci/', () => {
  const program = helm as string;
  const written = new Map(helm === undefined ? [] : [...files].map(([name, file]) => [name, template(helm, [file])]));
  const text = (name: string) => written.get(name) as Promise<string>;

  test.each([...files])('%s: helm lint finds nothing', async (_, file) => {
    const { stdout } = await run(program, ['lint', '--strict', CHART, '--values', file]);
    expect(stdout).toContain('1 chart(s) linted, 0 chart(s) failed');
  });

  test.each([...files])('%s: is the same each time, and fits into a release', async (name, file) => {
    expect(await template(program, [file])).toBe(await text(name));
    expect((await text(name)).length).toBeLessThan(MAX_BYTES);
  });

  test.each([...files.keys()])('%s: each object is there once, in its namespace, with its labels', async (name) => {
    const objects = objectsOf(await text(name)).filter(({ metadata }) => !/-(extra|more)$/.test(metadata.name));
    const places = objects.map(({ kind, metadata }) => `${kind}/${metadata.name}`);
    expect(places.filter((place, i) => places.indexOf(place) < i)).toEqual([]);
    expect(objects.filter(({ metadata }) => metadata.namespace !== 'shapecast')).toEqual([]);
    const labels = ['name', 'instance', 'version', 'managed-by', 'part-of'].map((key) => `app.kubernetes.io/${key}`);
    for (const { metadata } of objects)
      expect(Object.keys(metadata.labels ?? {})).toEqual(expect.arrayContaining(labels));
  });

  test.each([...files.keys()])('%s: names no variable, port, volume or path twice', async (name) => {
    const pods = podsOf(objectsOf(await text(name)));
    expect(pods.size).toBeGreaterThan(3);
    expect([...pods].flatMap(([place, pod]) => duplicates(pod).map((found) => `${place}: ${found}`))).toEqual([]);
  });

  test.each([...files.keys()])('%s: its pods are admitted by the restricted level', async (name) => {
    const pods = [...podsOf(objectsOf(await text(name)))];
    expect(pods.flatMap(([place, pod]) => podSecurityProblems(pod).map((found) => `${place}: ${found}`))).toEqual([]);
  });

  test.each([...files.keys()])('%s: selects by labels that never change', async (name) => {
    const keys = ['app.kubernetes.io/name', 'app.kubernetes.io/instance', 'app.kubernetes.io/component'];
    for (const { kind, spec } of objectsOf(await text(name))) {
      if (kind !== 'Deployment') continue;
      const { selector, template: pod } = spec as {
        selector: { matchLabels: Record<string, string> };
        template: { metadata: { labels: Record<string, string> } };
      };
      expect(Object.keys(selector.matchLabels)).toEqual(keys);
      expect(pod.metadata.labels).toMatchObject(selector.matchLabels);
    }
  });

  // Without Go to build it there is no Helm 3; findTool has said so.
  test.skipIf(helm3 === undefined).each([...files])('%s: Helm 3 makes the same of it', async (name, file) => {
    const sorted = (objects: readonly Rendered[]) => objects.map((object) => JSON.stringify(object)).sort();
    expect(sorted(await render(helm3 as string, [file]))).toEqual(sorted(objectsOf(await text(name))));
  });

  test.each(['minimal', 'production'])('%s: is what it was (npm run test:chart -- --write)', async (name) => {
    await expect(await text(name)).toMatchFileSnapshot(`${GOLDEN}/${name}.yaml`);
  });

  // Without Go to build it there is no kubeconform; findTool has said so.
  test.skipIf(kubeconform === undefined).each(KUBERNETES_VERSIONS)(
    'Kubernetes %s knows each object and each of its fields',
    async (version) => {
      const folder = await mkdtemp(`${tmpdir()}/shapecast-chart-`);
      try {
        for (const name of files.keys()) await writeFile(`${folder}/${name}.yaml`, await text(name));
        const locations = LOCATIONS.flatMap((location) => ['-schema-location', location]);
        const args = ['-strict', '-summary', '-output', 'json', '-kubernetes-version', version, ...locations, folder];
        const { stdout } = await run(kubeconform as string, args).catch(
          (error: unknown) => error as { stdout: string },
        );
        const { resources, summary } = JSON.parse(stdout) as {
          resources: unknown;
          summary: Record<string, number>;
        };
        expect(resources ?? []).toEqual([]);
        const objects = await Promise.all([...files.keys()].map(async (name) => objectsOf(await text(name)).length));
        expect(summary['valid']).toBe(objects.reduce((sum, count) => sum + count, 0));
      } finally {
        await rm(folder, { recursive: true });
      }
    },
  );

  // Without Go, as above.
  test.skipIf(kubeconform === undefined)('kubeconform finds a field that there is not', async () => {
    const folder = await mkdtemp(`${tmpdir()}/shapecast-chart-`);
    try {
      await writeFile(`${folder}/wrong.yaml`, (await text('minimal')).replace('replicas: 2', 'replica: 2'));
      const locations = LOCATIONS.flatMap((location) => ['-schema-location', location]);
      const args = ['-strict', '-kubernetes-version', KUBERNETES_VERSIONS[0], ...locations, folder];
      await expect(run(kubeconform as string, args)).rejects.toThrow();
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
