import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startCluster, type Cluster } from '@shapecast/testkit';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { LoadtestArguments } from '../../loadtest/harness/arguments.ts';
import { nodeForTypeScript } from '../../loadtest/harness/node-program.ts';
import { runLoadtest } from '../../loadtest/harness/loadtest.ts';
import { SCENARIOS } from '../../loadtest/lib/plans.ts';
import { ROOT } from '../chart/paths.ts';
import { findTool } from '../chart/tools.ts';
import { startFaultyProxy, type Message } from './support/faulty-proxy.ts';

const run = promisify(execFile);
const k6 = await findTool('k6');
/** Limits of latency that no machine exceeds: here it is asked whether all of it works, not how fast it is. */
const SETS = 'subscribers=6,rampSeconds=1,seconds=4,p95Ms=60000,p99Ms=60000,syncP95Ms=60000';
const never = new AbortController().signal;

// Without Go to build it there is no k6; findTool has said so.
describe.skipIf(k6 === undefined)('k6', () => {
  let cluster: Cluster;
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'shapecast-loadtest-'));
    cluster = await startCluster({ replicators: 1, routers: 1, apis: 1, env: { SHAPECAST_LOG_LEVEL: 'warning' } });
  });

  afterAll(async () => {
    await cluster?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  function smokeAt(url: string): LoadtestArguments {
    return {
      ...{ scenario: 'smoke', profile: 'ci', sets: SETS, edge: undefined, results: folder },
      processes: { replicators: 1, routers: 1, apis: 1 },
      given: { url, edgeUrl: undefined, targets: [{ source: '', databaseUrl: cluster.databaseUrl }] },
      ...{ saveBaseline: false, tolerance: undefined },
    };
  }

  test.each(SCENARIOS)('takes %s as it is, with every profile', async (scenario) => {
    for (const profile of ['ci', 'laptop', 'small', 'large']) {
      const { stdout } = await run(k6 as string, [
        ...['inspect', '-e', `PROFILE=${profile}`, '-e', 'EDGE_URL=http://edge'],
        `${ROOT}/loadtest/scenarios/${scenario}.ts`,
      ]);
      const { thresholds, scenarios } = JSON.parse(stdout) as Record<string, Record<string, unknown>>;
      expect(thresholds).toHaveProperty('shape_gaps');
      expect(Object.keys(scenarios ?? {}).length).toBeGreaterThan(0);
    }
  });

  test('finds a service that works in order, and leaves the files of a result', async () => {
    const { result, folder: made } = await runLoadtest(smokeAt(cluster.url), k6 as string, never);
    expect(result.thresholds.filter(({ ok }) => !ok)).toEqual([]);
    expect(result.passed).toBe(true);
    expect(result.metrics['shape_changes']?.values['count']).toBeGreaterThan(0);
    expect(result.harness?.verified).toMatchObject({ shapes: 3, differences: [] });
    expect(result.harness?.series.length).toBeGreaterThan(0);
    expect((await readdir(made)).toSorted()).toEqual([
      'junit.xml',
      'k6.log',
      'report.html',
      'result.json',
      'summary.md',
    ]);
    expect(await readFile(join(made, 'report.html'), 'utf8')).toContain('Over time');
  });

  test.each([
    ['a row that is kept from a reader', 'shape_gaps', (rows: readonly Message[]) => rows.slice(1)],
    ['a row that comes twice', 'shape_duplicates', (rows: readonly Message[]) => [...rows, ...rows.slice(0, 1)]],
  ])('finds %s', async (_name, metric, change) => {
    let planted = 0;
    const proxy = await startFaultyProxy(cluster.url, (messages) => {
      const rows = messages.filter(({ value }) => value !== undefined && value['pad'] !== 'end');
      if (rows.length === 0 || planted > 0) return messages;
      planted += 1;
      const others = messages.filter((message) => !rows.includes(message));
      return [...change(rows), ...others];
    });
    onTestFinished(() => proxy.stop());
    const { result } = await runLoadtest(smokeAt(proxy.url), k6 as string, never);
    expect(proxy.faults).toBe(1);
    expect(result.metrics[metric]?.values['count']).toBe(1);
    expect(result.thresholds).toContainEqual({ metric, expression: 'count==0', ok: false });
    expect(result.passed).toBe(false);
  });
});

test.skipIf(k6 === undefined)(
  'the command starts an installation, runs a scenario and stops what it started',
  async () => {
    const results = await mkdtemp(join(tmpdir(), 'shapecast-loadtest-'));
    onTestFinished(() => rm(results, { recursive: true, force: true }));
    const sets = SETS.split(',').flatMap((set) => ['--set', set]);
    const one = ['--replicators', '1', '--routers', '1', '--apis', '1'];
    const { stdout } = await run(
      nodeForTypeScript(),
      ['loadtest/run.ts', 'smoke', '--results', results, ...one, ...sets],
      { cwd: ROOT },
    );
    expect(stdout).toContain('**smoke** (ci, directly): passed');
    const [run1 = ''] = await readdir(results);
    const result = JSON.parse(await readFile(join(results, run1, 'result.json'), 'utf8')) as {
      harness: { processes: { name: string }[] };
    };
    expect(result.harness.processes.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['replicator-1', 'router-1', 'api-1', 'postgres', 'nats', 'redis', 'k6', 'writer']),
    );
  },
);
