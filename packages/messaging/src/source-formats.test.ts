import { silentLogger, systemClock } from '@shapecast/service-kit';
import { waitFor } from '@shapecast/testkit';
import { afterEach, describe, expect, test } from 'vitest';
import { openMemoryMessaging } from './memory/open-memory-messaging.ts';
import { BUCKETS, type FormatRecord, type ReaderRecord } from './records.ts';
import { commonFormats, SourceFormats } from './source-formats.ts';

const messaging = openMemoryMessaging(systemClock);
const running: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of running.splice(0)) await stop();
});
let sources = 0;

function start(source: string, role: ReaderRecord['role'], log: number, quietMs = 0) {
  const abort = new AbortController();
  const formats = new SourceFormats(
    { registries: messaging.registries, clock: systemClock, log: silentLogger },
    { source, role, known: { record: 1, log }, lookMs: 5, quietMs },
  );
  const done = [formats.run(abort.signal), ...(role === 'replicator' ? [formats.keep(abort.signal)] : [])];
  const stop = async () => {
    abort.abort();
    await Promise.all(done);
  };
  running.push(stop);
  return { formats, stop };
}

const stored = async (source: string) =>
  (await (await messaging.registries.open<FormatRecord>(BUCKETS.formats.name)).get(source))?.value;

describe('formats of a source', () => {
  test('what everybody reads is what the least of them reads', () => {
    expect(commonFormats([], { record: 2, log: 3 })).toEqual({ record: 2, log: 3 });
    expect(commonFormats([{ record: 1, log: 3 }], { record: 2, log: 2 })).toEqual({ record: 1, log: 2 });
  });

  test('stay the first while a process knows no other, and move on once it is gone', async () => {
    const source = `s${(sources += 1)}`;
    const old = start(source, 'api', 1);
    await old.formats.looked;
    const [replicator, router] = [start(source, 'replicator', 2), start(source, 'router', 2)];
    await Promise.all([replicator.formats.looked, router.formats.looked]);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await stored(source)).toBeUndefined();
    expect([old.formats.refusal, router.formats.used]).toEqual([undefined, { record: 1, log: 1 }]);
    await old.stop();
    await waitFor(() => router.formats.used.log === 2);
    expect(await stored(source)).toEqual({ v: 1, record: 1, log: 2 });
    expect(router.formats.refusal).toBeUndefined();
  });

  test('do not move on while it is not sure that the process is gone for good', async () => {
    const source = `s${(sources += 1)}`;
    const old = start(source, 'router', 1);
    await old.formats.looked;
    const replicator = start(source, 'replicator', 2, 60_000);
    await replicator.formats.looked;
    await old.stop();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await stored(source)).toBeUndefined();
  });

  test('F179 a process that knows less than is written must not take part, and they do not go back for it', async () => {
    const source = `s${(sources += 1)}`;
    const replicator = start(source, 'replicator', 2);
    await waitFor(async () => (await stored(source))?.log === 2);
    const old = start(source, 'router', 1);
    await old.formats.looked;
    expect(old.formats.refusal).toContain('format 2 is in use for the logs of shapes, and it knows formats up to 1');
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await stored(source)).toEqual({ v: 1, record: 1, log: 2 });
    expect(replicator.formats.refusal).toBeUndefined();
    // One that never touches the logs is not concerned.
    const other = start(source, 'replicator', 1);
    await other.formats.looked;
    expect(other.formats.refusal).toBeUndefined();
  });
});
