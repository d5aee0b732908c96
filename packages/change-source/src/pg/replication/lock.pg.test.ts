import { systemClock } from '@shapecast/service-kit';
import { waitFor } from '@shapecast/testkit';
import { afterEach, describe, expect, test } from 'vitest';
import type { HolderWatch } from '../../change-source.ts';
import { openPgWorld, type PgWorld } from '../../contract/pg-world.contract.ts';
import { RecordingHandler, run } from '../../contract/recording-handler.contract.ts';

const never = new AbortController().signal;
const ignore = () => {};

describe('a standby', () => {
  let world: PgWorld;
  afterEach(() => world.close());

  /** What the holder is known to do, as the test says. */
  class Watch implements HolderWatch {
    pid: number | undefined;
    readonly callbacks = new Set<() => void>();
    onLeaving(callback: () => void): () => void {
      this.callbacks.add(callback);
      return () => this.callbacks.delete(callback);
    }
    silentWalSender(): number | undefined {
      return this.pid;
    }
    leave(): void {
      for (const callback of this.callbacks) callback();
    }
  }

  /** A leader that streams, and a standby that polls once an hour. */
  async function standby(lockBreaker = true) {
    world = await openPgWorld({ source: { lockPollMs: 3_600_000, lockBreaker } });
    const leader = await world.source.open(ignore, never);
    const stream = run(leader, new RecordingHandler());
    stream.done.catch(ignore);
    const watch = new Watch();
    const stop = new AbortController();
    const opening = world.source.open(ignore, stop.signal, watch);
    opening.catch(ignore);
    await waitFor(() => watch.callbacks.size > 0);
    return { leader, stream, watch, opening, stop };
  }

  test('does not wait for its next look when the holder says that it leaves', async () => {
    const { stream, watch, opening } = await standby();
    watch.leave();
    await stream.stop();
    const session = await opening;
    expect(session.slot.created).toBe(false);
    expect(watch.callbacks.size).toBe(0);
    await session.close();
  });

  test('ends the walsender of a holder that is not heard of any more', async () => {
    const { leader, watch, opening } = await standby();
    watch.pid = leader.identity.walSenderPid;
    watch.leave();
    const session = await opening;
    expect(session.identity.walSenderPid).not.toBe(watch.pid);
    const old = await world.sql('select 1 from pg_stat_activity where pid = $1', [watch.pid]);
    expect(old).toEqual([]);
    await session.close();
    await leader.close();
  });

  test.each([
    ['that does not hold the lock', true, async () => (await world.connect()) as unknown as { processID: number }],
    ['where it may end none', false, async () => undefined],
  ])('leaves a backend alone %s', async (_, lockBreaker, other) => {
    const { leader, stream, watch, opening, stop } = await standby(lockBreaker);
    watch.pid = (await other())?.processID ?? leader.identity.walSenderPid;
    watch.leave();
    await systemClock.sleep(300); // some polls
    const alive = await world.sql('select 1 as one from pg_stat_activity where pid = $1', [watch.pid]);
    expect(alive).toEqual([{ one: 1 }]);
    stop.abort();
    await expect(opening).rejects.toThrow(/abort/);
    await stream.stop();
  });
});
