import { silentLogger, systemClock } from '@shapecast/service-kit';
import { waitFor } from '@shapecast/testkit';
import { expect, test } from 'vitest';
import type { Source, SourceState } from './source-entry.ts';
import { SourceHost, type SourceComponent } from './source-host.ts';

const source = (id: string, changedAt = 0, state: SourceState = 'active'): Source => ({
  settings: {
    id,
    state,
    origin: 'file',
    labels: {},
    limits: {} as Source['settings']['limits'],
    environment: {},
    changedAt,
  },
});

/** Components that write down what happens to them. */
function world(fails: (id: string, attempt: number) => boolean = () => false) {
  const events: string[] = [];
  const attempts = new Map<string, number>();
  const gates = new Map<string, Promise<void>>();
  class Fake implements SourceComponent {
    readonly name = 'fake';
    readonly id: string;
    readonly takes: boolean;
    constructor({ settings }: Source) {
      this.id = settings.id;
      this.takes = settings.id.startsWith('soft');
    }
    async start(): Promise<void> {
      const attempt = (attempts.get(this.id) ?? 0) + 1;
      attempts.set(this.id, attempt);
      events.push(`start ${this.id}`);
      await gates.get(this.id);
      if (fails(this.id, attempt)) throw new Error('no luck');
      events.push(`started ${this.id}`);
    }
    async stop(): Promise<void> {
      await Promise.resolve();
      events.push(`stop ${this.id}`);
    }
    update({ settings }: Source): boolean {
      events.push(`update ${this.id} ${settings.changedAt}`);
      return this.takes;
    }
  }
  const create = (given: Source) => (given.settings.state === 'active' ? new Fake(given) : undefined);
  const host = new SourceHost<Fake>({ create, clock: systemClock, log: silentLogger });
  return { host, events, gates };
}

test('each source has its component, until it is not wanted any more', async () => {
  const { host, events } = world();
  host.set('a', source('a'));
  host.set('b', source('b'));
  await waitFor(() => events.length === 4);
  expect(host.get('a')?.id).toBe('a');
  host.set('a', undefined);
  await waitFor(() => events.includes('stop a'));
  await waitFor(() => [...host.places()].length === 1);
  expect(host.get('a')).toBeUndefined();
  await host.stop();
  expect(events.at(-1)).toBe('stop b');
  host.set('c', source('c'));
  expect(host.get('c')).toBeUndefined();
});

test('a change is taken while it runs, or else by a new component', async () => {
  const { host, events } = world();
  host.set('soft', source('soft'));
  host.set('hard', source('hard'));
  await waitFor(() => events.length === 4);
  host.set('soft', source('soft', 1));
  host.set('hard', source('hard', 1));
  await waitFor(() => events.filter((event) => event === 'started hard').length === 2);
  expect(events.slice(4)).toEqual(['update soft 1', 'update hard 1', 'stop hard', 'start hard', 'started hard']);
  host.set('hard', source('hard', 2, 'paused'));
  await waitFor(() => host.get('hard') === undefined);
  await host.stop();
});

test('one that fails is tried again while the others go on, and at once when it changes', async () => {
  const { host, events } = world((id, attempt) => id === 'bad' && attempt < 3);
  host.set('bad', source('bad'));
  await waitFor(() => [...host.places()].some(({ problem }) => problem === 'no luck'));
  host.set('good', source('good'));
  await waitFor(() => events.includes('started good'));
  host.set('bad', source('bad', 1));
  await waitFor(() => events.includes('started bad'));
  expect([...host.places()].map(({ problem }) => problem)).toEqual([undefined, undefined]);
  expect(events.filter((event) => event === 'stop bad')).toHaveLength(2);
  await host.stop();
});

test('changes that come while one is being made end in the last of them', async () => {
  const { host, events, gates } = world();
  const gate = Promise.withResolvers<void>();
  gates.set('a', gate.promise);
  host.set('a', source('a'));
  await waitFor(() => events.includes('start a'));
  host.set('a', source('a', 1));
  host.set('a', undefined);
  host.set('a', source('a', 2));
  gate.resolve();
  await waitFor(() => events.filter((event) => event === 'started a').length === 2);
  expect(events).toEqual(['start a', 'started a', 'update a 2', 'stop a', 'start a', 'started a']);
  await host.stop();
});
