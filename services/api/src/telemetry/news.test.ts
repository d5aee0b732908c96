import { describe, expect, test } from 'vitest';
import { lagOf, serverTiming, type News } from './news.ts';

const note = { committedMs: 10_000, publishedMs: 10_012, appliedMs: 10_017 };
const news = (more: Partial<News> = {}): News => ({ note, announcedAt: 0, awaited: true, ...more });
/** The process's clock is 7 ms behind the calendar. */
const lag = (what: News, wall: number, since: number) => lagOf(what, wall - 7, wall, since - 7);

describe('the lag of news', () => {
  test('is told by stage, and they add up', () => {
    expect(lag(news(), 10_019, 9_000)).toEqual({ publish: 12, apply: 5, serve: 2, total: 19 });
  });

  test('leaves out the time in which a reader was away', () => {
    expect(lag(news({ awaited: false }), 13_000, 12_990)).toEqual({ publish: 12, apply: 5, serve: 10, total: 27 });
  });

  test('counts in full for a reader that was here, as that of a stream, whatever the hub had seen', () => {
    expect(lag(news({ awaited: false }), 13_000, 9_000)).toMatchObject({ serve: 2_983, total: 3_000 });
  });

  test('is none for a reader that catches up, however late the entry was applied', () => {
    expect(lag(news({ awaited: false }), 3_610_000, 3_609_999)).toBeUndefined();
    const late = { ...note, appliedMs: 70_000 };
    expect(lag(news({ awaited: false, note: late }), 80_000, 79_999)).toBeUndefined();
  });

  test('counts in full for a reader that waited for it, also when its hint was lost', () => {
    expect(lag(news(), 12_000, 11_900)).toMatchObject({ serve: 1_983, total: 2_000 });
  });

  test('is never less than nothing, whatever the clocks of other machines say', () => {
    const skewed = { committedMs: 20_000, publishedMs: 19_000, appliedMs: 18_000 };
    expect(lag(news({ note: skewed }), 17_000, 16_000)).toEqual({ publish: 0, apply: 0, serve: 0, total: 0 });
  });

  test('is not known without a note', () => {
    expect(lag(news({ note: undefined }), 10_019, 9_000)).toBeUndefined();
  });

  test('is written as server-timing has it', () => {
    expect(serverTiming({ publish: 12, apply: 5, serve: 2, total: 19 })).toBe(
      'publish;dur=12, apply;dur=5, serve;dur=2',
    );
  });
});
