import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FairTurns, type FairTurnsOptions, type Turn } from './fair-turns.ts';

const KIB = 1024;
const OPTIONS: FairTurnsOptions = { quantumBytes: 64 * KIB, atOnce: 1, maxBusyMs: 10 };

/** Turns on a clock of their own: what a turn takes is what it is for. */
class World {
  now = 0;
  readonly order: string[] = [];
  readonly turns: FairTurns;
  #later: (() => void)[] = [];
  #calls: Promise<unknown> = Promise.resolve();

  /** `rests`: they are over when the test says so. */
  constructor(options: Partial<FairTurnsOptions> = {}, rests = false) {
    const later = (callback: () => void) => void (rests ? this.#later.push(callback) : setImmediate(callback));
    this.turns = new FairTurns({ now: () => this.now, later }, { ...OPTIONS, ...options });
  }

  /** A call to the store, which does one after the other. */
  store(): Promise<unknown> {
    this.#calls = this.#calls.then(settled);
    return this.#calls;
  }

  rests(): number {
    return this.#later.length;
  }

  rest(): void {
    for (const callback of this.#later.splice(0)) callback();
  }

  async take(source: string): Promise<Turn> {
    const turn = await this.turns.take(source);
    this.order.push(source);
    return turn;
  }
}

/** Everything that is due. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

/** A source that always has work, in pieces of at most `bytes`; a millisecond for each 16 KiB. */
async function work(world: World, source: string, bytes: number, state: { stop: boolean; done: number }) {
  while (!state.stop) {
    const turn = await world.take(source);
    const used = Math.min(turn.bytes, bytes);
    await world.store();
    world.now += used / (16 * KIB);
    state.done += used;
    turn.end(used);
  }
}

describe('turns', () => {
  test('a source that is alone has no bounds, and no turn waits', () => {
    const { turns } = new World({ atOnce: 2 });
    const given = Array.from({ length: 8 }, () => turns.take('a'));
    expect(given.every((turn) => !(turn instanceof Promise) && turn.bytes === Infinity)).toBe(true);
    expect(turns.waiting).toBe(0);
  });

  test('sources that always have work get the same number of bytes, whatever the size of their pieces', async () => {
    const world = new World();
    const states = ['large', 'medium', 'small'].map(() => ({ stop: false, done: 0 }));
    const [large, medium, small] = states as [{ done: number; stop: boolean }, { done: number }, { done: number }];
    const running = [
      work(world, 'large', 1024 * KIB, states[0] as typeof large),
      work(world, 'large', 1024 * KIB, states[0] as typeof large),
      ...Array.from({ length: 4 }, () => work(world, 'medium', 50 * KIB, states[1] as typeof large)),
      // A source with so little at a time has to have as much waiting.
      ...Array.from({ length: 16 }, () => work(world, 'small', 5 * KIB, states[2] as typeof large)),
    ];
    while (large.done < 16 * 1024 * KIB) await settled();
    for (const state of states) state.stop = true;
    await Promise.all(running);
    const most = Math.max(large.done, medium.done, small.done);
    const least = Math.min(large.done, medium.done, small.done);
    expect(most / least).toBeLessThan(1.5);
  });

  test('one that took more than its turn was for sits out while the others have several turns', async () => {
    const world = new World();
    const first = await world.take('greedy');
    const others = ['a', 'b'].map((source) => world.take(source));
    const again = world.take('greedy');
    first.end(10 * OPTIONS.quantumBytes);
    await settled();
    const done: Record<string, number> = { a: 0, b: 0 };
    let pending = others;
    let isBack = false;
    void again.then(() => (isBack = true));
    while (!isBack) {
      const turn = await pending[0];
      const source = world.order.at(-1) as string;
      if (source === 'greedy') break;
      done[source] = (done[source] ?? 0) + OPTIONS.quantumBytes;
      pending = [...pending.slice(1), world.take(source)];
      turn?.end(OPTIONS.quantumBytes);
      await settled();
    }
    expect(done['a']).toBeGreaterThanOrEqual(5 * OPTIONS.quantumBytes);
    expect(done['b']).toBeGreaterThanOrEqual(5 * OPTIONS.quantumBytes);
  });

  test('4.6 one with a hundred times the work of the others has them wait for one short turn, not for its backlog', async () => {
    const world = new World({ atOnce: 2 });
    const noisy = { stop: false, done: 0 };
    const running = Array.from({ length: 8 }, () => work(world, 'noisy', 4 * 1024 * KIB, noisy));
    // A little one that has something to do now and then.
    (await world.take('quiet')).end(KIB);
    const waits: number[] = [];
    for (let i = 0; i < 50; i += 1) {
      const before = noisy.done;
      while (noisy.done < before + 512 * KIB) await settled();
      const doneBefore = noisy.done;
      const turn = await world.take('quiet');
      await world.store();
      waits.push(noisy.done - doneBefore);
      turn.end(KIB);
    }
    noisy.stop = true;
    await Promise.all(running);
    // What was on its way, and the turn that may be before it.
    expect(Math.max(...waits)).toBeLessThanOrEqual(4 * OPTIONS.quantumBytes);
    expect(noisy.done).toBeGreaterThan(100 * 50 * KIB);
  });

  test('turns are short as long as another source has had work lately, and long again after', async () => {
    const world = new World();
    (await world.take('a')).end(1);
    expect((await world.take('b')).bytes).toBe(OPTIONS.quantumBytes);
    world.now += 2_000;
    // The first one has rested for a while; the turn of the other one is not over.
    expect((await world.take('b')).bytes).toBe(Infinity);
  });

  test('everything else in the process gets its chance at least every 10 ms', async () => {
    const world = new World({}, true);
    let turn = await world.take('a');
    for (let i = 0; i < 9; i += 1) {
      world.now += 1;
      const next = world.turns.take('a');
      turn.end(1);
      expect(world.rests()).toBe(0);
      turn = await next;
    }
    world.now += 1;
    const next = world.turns.take('a');
    const other = world.turns.take('b');
    turn.end(1);
    expect(world.rests()).toBe(1);
    expect(next).not.toBeInstanceOf(Promise);
    expect(other).toBeInstanceOf(Promise);
    world.rest();
    (next as Turn).end(1);
    expect(await other).toBeDefined();
  });

  test('whatever sources come, go and overdraw, nobody waits for ever', async () => {
    const step = fc.tuple(fc.constantFrom('a', 'b', 'c', 'd'), fc.integer({ min: 0, max: 10 * 1024 * KIB }));
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 1, maxLength: 60 }),
        fc.integer({ min: 1, max: 3 }),
        async (steps, atOnce) => {
          const world = new World({ atOnce });
          let finished = 0;
          const all = steps.map(async ([source, used], i) => {
            const turn = await world.turns.take(source);
            world.now += i % 3;
            if (i % 2 === 0) await settled();
            turn.end(used);
            finished += 1;
          });
          for (let i = 0; i < 10 * steps.length && finished < steps.length; i += 1) {
            world.rest();
            await settled();
          }
          expect(finished).toBe(steps.length);
          await Promise.all(all);
          expect(world.turns.waiting).toBe(0);
        },
      ),
      { numRuns: 60 },
    );
  });
});
