import { silentLogger, systemClock, type Clock } from '@shapecast/service-kit';
import { waitFor } from '@shapecast/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bytes, freshName, text, type MessagingPair, type OpenMessaging } from './messaging.contract.ts';
import type { SourceUsage, UsageReport } from './source-usage.ts';
import { USAGE_ASK_SUBJECT, USAGE_SUBJECT } from './subjects.ts';
import { UsageBoard } from './usage-board.ts';
import { UsageReporter } from './usage-reporter.ts';

const TIMES = 5;

/** The same, five times as fast: nothing has to be waited for that comes every two seconds. */
function fastClock(): Clock {
  const begin = systemClock.now();
  return {
    ...systemClock,
    now: () => begin + (systemClock.now() - begin) * TIMES,
    after: (ms, callback) => systemClock.after(ms / TIMES, callback),
  };
}

/** What reporters and boards promise to each other, over whatever hints there are. */
export function describeUsage(name: string, open: OpenMessaging): void {
  describe(`usage of sources over ${name}`, () => {
    let pair: MessagingPair;
    const clock = fastClock();
    beforeAll(async () => {
      pair = await open();
    });
    afterAll(() => pair.close());

    const parts = (member: 'one' | 'other') => ({ hints: pair[member].hints, clock, log: silentLogger });
    const reporter = (role: UsageReport['role'] = 'api') =>
      new UsageReporter(parts('one'), { process: freshName(), role });

    /** Runs with a board that has heard of nothing else than the reporters of this test, which are of sources of its own. */
    async function withBoard(work: (board: UsageBoard) => Promise<void>, ...reporters: UsageReporter[]): Promise<void> {
      const board = new UsageBoard(parts('other'));
      try {
        for (const one of reporters) await one.start();
        await board.start();
        await work(board);
      } finally {
        await Promise.all(reporters.map((one) => one.stop()));
        await board.stop();
      }
    }

    test('a board has the sums over all processes, and the highest of what each sees whole', async () => {
      const [a, b, c, source] = [reporter(), reporter(), reporter('router'), freshName()];
      const quota = (used: number) => ({
        requestsPerSecond: { used, limit: 50, refused: 3 },
        logBytes: { used, limit: 1_000, refused: 1 },
      });
      a.add(source, () => ({ counters: { requests: 7 }, gauges: { parked: 2, publishLagMs: 5 }, quotas: quota(10) }));
      b.add(source, () => ({ counters: { requests: 5 }, gauges: { parked: 1, publishLagMs: 9 }, quotas: quota(20) }));
      c.add(source, () => ({ counters: { entries: 100 }, gauges: { streamBytes: 10 } }));
      await withBoard(
        async (board) => {
          await waitFor(() => board.sumsOf(source).processes === 3);
          expect(board.sumsOf(source).usage).toEqual({
            counters: { requests: 12, entries: 100 },
            gauges: { parked: 3, publishLagMs: 9, streamBytes: 10 },
            quotas: {
              requestsPerSecond: { used: 30, limit: 100, refused: 6 },
              // Of one shape.
              logBytes: { used: 20, limit: 1_000, refused: 2 },
            },
          } satisfies SourceUsage);
          expect(board.sumsOf(freshName())).toEqual({ usage: {}, rates: {}, processes: 0 });
        },
        ...[a, b, c],
      );
    });

    test('parts of one source in one process are added up, and go one by one', async () => {
      const [one, source] = [reporter(), freshName()];
      const remove = one.add(source, () => ({ gauges: { shapes: 3 } }));
      const removeOther = one.add(source, () => ({ gauges: { shapes: 4 } }));
      await withBoard(async (board) => {
        await waitFor(() => board.sumsOf(source).usage.gauges?.shapes === 7);
        remove();
        await waitFor(() => board.sumsOf(source).usage.gauges?.shapes === 4);
        removeOther();
        await waitFor(() => board.sumsOf(source).processes === 0);
        expect(board.processes().find(({ sources }) => sources.includes(source))).toBeUndefined();
      }, one);
    });

    test('counters have rates and a history; what does not change has a rate of nothing', async () => {
      const [one, source] = [reporter('router'), freshName()];
      const begin = clock.now();
      let growing = true;
      let entries = 1_000;
      // 100 in a second of this clock.
      one.add(source, () => {
        if (growing) entries = 1_000 + Math.round((clock.now() - begin) / 10);
        return { counters: { entries }, gauges: { applyLagMs: 12 } };
      });
      await withBoard(async (board) => {
        await waitFor(() => (board.sumsOf(source).rates.entries ?? 0) > 0);
        const rate = board.sumsOf(source).rates.entries ?? 0;
        expect(rate).toBeGreaterThan(50);
        expect(rate).toBeLessThan(200);
        const { everyMs, series } = board.historyOf(source);
        expect(everyMs).toBe(2_000);
        expect(series.applyLagMs?.at(-1)).toBe(12);
        expect(series.entries?.at(-1)).toBeGreaterThan(0);
        expect(series.changes?.at(-1)).toBeNull();
        growing = false;
        await waitFor(() => (board.sumsOf(source).rates.entries ?? 0) === 0);
        await waitFor(() => board.historyOf(source).series.entries?.at(-1) === 0);
        expect(board.sumsOf(source).processes).toBe(1);
      }, one);
    });

    test('only what changed is told, and everything to whoever comes', async () => {
      const [one, still, moving] = [reporter(), freshName(), freshName()];
      let count = 0;
      const heard: string[] = [];
      one.add(still, () => ({ gauges: { shapes: 1 } }));
      one.add(moving, () => ({ counters: { requests: (count += 1) } }));
      const stop = pair.other.hints.subscribe(
        USAGE_SUBJECT,
        (payload) => {
          const { sources } = JSON.parse(text(payload)) as UsageReport;
          if (moving in sources) heard.push(Object.keys(sources).sort().join(' '));
        },
        () => {},
      );
      const both = [still, moving].sort().join(' ');
      await one.start();
      await waitFor(() => heard.filter((sources) => sources === moving).length >= 3);
      const before = heard.filter((sources) => sources === both).length;
      pair.other.hints.publish(USAGE_ASK_SUBJECT, new Uint8Array());
      await waitFor(() => heard.filter((sources) => sources === both).length > before);
      await one.stop();
      stop();
      expect(heard.filter((sources) => sources === moving).length).toBeGreaterThan(2);
    });

    test('a report of very many sources comes in pieces that servers take, and complete', async () => {
      const one = reporter();
      const sources = Array.from({ length: 2_000 }, () => freshName());
      const largest = { bytes: 0 };
      const quotas = Object.fromEntries(
        Array.from({ length: 16 }, (_, i) => [`axis${i}`, { used: i, limit: 100, refused: 0 }]),
      );
      for (const source of sources) one.add(source, () => ({ gauges: { shapes: 1 }, quotas }));
      const stop = pair.other.hints.subscribe(
        USAGE_SUBJECT,
        (payload) => (largest.bytes = Math.max(largest.bytes, payload.length)),
        () => {},
      );
      await withBoard(async (board) => {
        await waitFor(() => sources.every((source) => board.sumsOf(source).processes === 1));
        expect(largest.bytes).toBeGreaterThan(100_000);
        expect(largest.bytes).toBeLessThan(140_000);
      }, one);
      stop();
    });

    test('a process that leaves is gone at once, one that is silent after ten seconds', async () => {
      const [leaving, source, silent] = [reporter(), freshName(), freshName()];
      leaving.add(source, () => ({ gauges: { shapes: 1 } }));
      const report: UsageReport = {
        ...{ v: 1, process: silent, role: 'router', uptimeMs: 5 },
        sources: { [source]: { gauges: { shapes: 2 } } },
      };
      await withBoard(async (board) => {
        await waitFor(() => board.sumsOf(source).usage.gauges?.shapes === 1);
        let told = 0;
        await waitFor(() => {
          told = clock.now();
          pair.one.hints.publish(USAGE_SUBJECT, bytes(JSON.stringify(report)));
          return board.sumsOf(source).usage.gauges?.shapes === 3;
        });
        await leaving.stop();
        await waitFor(() => board.sumsOf(source).usage.gauges?.shapes === 2);
        await waitFor(() => board.sumsOf(source).processes === 0);
        expect(clock.now() - told).toBeGreaterThan(9_000);
      }, leaving);
    });

    test('a process of the same name that began anew is another one: its counters do not go back', async () => {
      const [process, source] = [freshName(), freshName()];
      const tell = (uptimeMs: number, requests: number) => {
        const report: UsageReport = {
          ...{ v: 1, process, role: 'api', uptimeMs },
          sources: { [source]: { counters: { requests } } },
        };
        pair.one.hints.publish(USAGE_SUBJECT, bytes(JSON.stringify(report)));
      };
      await withBoard(async (board) => {
        // Until the board listens.
        await waitFor(() => {
          tell(10_000, 1_000);
          return board.processes().some((told) => told.process === process);
        });
        let seconds = 10;
        await waitFor(() => {
          seconds += 2;
          tell(seconds * 1_000, seconds * 100);
          return board.sumsOf(source).rates.requests === 100;
        });
        tell(1_000, 10);
        await waitFor(() => board.sumsOf(source).usage.counters?.requests === 10);
        expect(board.sumsOf(source).rates.requests).toBeUndefined();
        tell(3_000, 30);
        await waitFor(() => board.sumsOf(source).rates.requests === 10);
      });
    });

    test('details are asked of every process that has the source, and of no other', async () => {
      const [a, b, router, other, source] = [reporter(), reporter(), reporter('router'), reporter(), freshName()];
      const usage = () => ({ gauges: { parked: 1 } });
      a.add(source, usage, { readers: (most) => [['1-1', 5] as const, ['1-2', 3] as const].slice(0, most) });
      b.add(source, usage, { readers: () => [['1-1', 2]] });
      router.add(source, usage, { matching: () => ({ tables: [] }) });
      other.add(freshName(), usage, { readers: () => [['9-9', 9]] });
      await withBoard(
        async (board) => {
          await waitFor(() => board.sumsOf(source).processes === 3);
          const readers = await board.ask(source, 'readers', 1);
          expect(readers.map(({ value }) => JSON.stringify(value)).sort()).toEqual(['[["1-1",2]]', '[["1-1",5]]']);
          expect((await board.ask(source, 'matching', 0)).map(({ value }) => value)).toEqual([{ tables: [] }]);
          expect(await board.ask(freshName(), 'readers', 1)).toEqual([]);
        },
        ...[a, b, router, other],
      );
    });

    test('a part whose numbers cannot be had hides neither itself for ever nor the others', async () => {
      const [one, broken, fine] = [reporter(), freshName(), freshName()];
      let fails = true;
      one.add(broken, () => {
        if (fails) throw new Error('a fault in a part');
        return { gauges: { shapes: 1 } };
      });
      one.add(fine, () => ({ gauges: { shapes: 2 } }));
      await withBoard(async (board) => {
        await waitFor(() => board.sumsOf(fine).usage.gauges?.shapes === 2);
        expect(board.sumsOf(broken).processes).toBe(0);
        fails = false;
        await waitFor(() => board.sumsOf(broken).usage.gauges?.shapes === 1);
      }, one);
    });

    test('what is no report, or has numbers that are none, does no harm', async () => {
      const [process, source] = [freshName(), freshName()];
      await withBoard(async (board) => {
        for (const payload of [
          '',
          'null',
          '[]',
          '{"v":2}',
          '{"v":1,"process":"x","role":"api","uptimeMs":1,"sources":[]}',
        ]) {
          pair.one.hints.publish(USAGE_SUBJECT, bytes(payload));
        }
        const report = `{"v":1,"process":"${process}","role":"api","uptimeMs":1,"sources":{"${source}":{"gauges":{"shapes":"many","parked":4},"quotas":{"x":3}},"__proto__":{"gauges":{"shapes":1}}}}`;
        // As every process does, again and again: one report may come before the board is heard of, or age before its next sample.
        await waitFor(() => {
          pair.one.hints.publish(USAGE_SUBJECT, bytes(report));
          return board.sumsOf(source).processes === 1;
        });
        expect(board.sumsOf(source).usage.gauges).toEqual({ parked: 4 });
        expect({}).not.toHaveProperty('gauges');
      });
    });
  });
}
