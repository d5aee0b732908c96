import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { startCluster, type Cluster } from '@shapecast/testkit';
import { Load, type LoadOptions } from '../support/load.ts';
import { replaceAll, ROLES, scaleTo } from '../support/rolling-restart.ts';

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster({ routers: 2, apis: 2, replicators: 2, edge: 'nginx' });
});

afterAll(() => cluster.stop());

async function startLoad(options: Partial<LoadOptions> = {}): Promise<Load> {
  const urls = [cluster.edgeUrl as string, cluster.url];
  const load = await Load.start(cluster, {
    shapes: 10,
    readersPerShape: 4,
    writesPerSecond: 50,
    newcomersPerSecond: 2,
    urls,
    ...options,
  });
  onTestFinished(() => load.stop());
  return load;
}

/** What clients must not notice. */
async function expectUnnoticed(load: Load): Promise<void> {
  const { phases, rotations, violations, different } = await load.finish();
  expect(phases.every(({ newcomers }) => newcomers > 0)).toBe(true);
  expect(phases.flatMap(({ failures }) => failures)).toEqual([]);
  expect({ rotations, violations, different }).toEqual({ rotations: 0, violations: [], different: 0 });
  // Neither did the load balancer have to repeat a request, nor did a pod break an answer off.
  const { repeated, broken, statuses } = cluster.traffic;
  expect({ repeated, broken, statuses: Object.keys(statuses) }).toEqual({ repeated: 0, broken: 0, statuses: ['200'] });
}

test('O 2.3, 2.6, A18 a rolling update of every role loses nothing, rotates nothing and is no error for anybody', async () => {
  const load = await startLoad();
  for (const role of ROLES) {
    const before = cluster.processes.filter((process) => process.role === role).map(({ name }) => name);
    await replaceAll(cluster, role);
    const after = cluster.processes.filter((process) => process.role === role).map(({ name }) => name);
    expect(after.length).toBe(before.length);
    expect(after.filter((name) => before.includes(name))).toEqual([]);
    await load.settled();
  }
  await expectUnnoticed(load);
});

test('O 2.7 API pods that come and go under load are no error for anybody', async () => {
  const load = await startLoad();
  await scaleTo(cluster, 'api', 4);
  await load.settled();
  await scaleTo(cluster, 'api', 1);
  await load.settled();
  await expectUnnoticed(load);
});
