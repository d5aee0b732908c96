import { randomBytes } from 'node:crypto';
import { openNatsMessaging, type Messaging } from '@shapecast/messaging';
import { silentLogger, systemClock, type Clock, type Logger } from '@shapecast/service-kit';
import { DeclaredSources, parseSource, sealWith, SourceCatalog, SOURCES_BUCKET } from '@shapecast/sources';
import { startNats, waitFor, type TestServer } from '@shapecast/testkit';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { natsRequest } from '../chaos/nemesis/raw-nats.ts';

let nats: TestServer;
let messaging: Messaging;
const stop = { now: new AbortController() };
beforeEach(async () => {
  nats = await startNats();
  const parts = { clock: systemClock, log: silentLogger };
  messaging = await openNatsMessaging({ url: nats.url }, parts, AbortSignal.timeout(60_000));
  stop.now = new AbortController();
});
afterEach(async () => {
  stop.now.abort();
  await messaging.close();
  await nats.stop();
});

const seals = {
  database: sealWith([randomBytes(32).toString('base64')]),
  api: sealWith([randomBytes(32).toString('base64')]),
};

function specOf(id: string) {
  const given = { databaseUrl: `postgresql://u:p@h/${id}`, secrets: ['a secret of theirs'] };
  const parsed = parseSource(id, given, () => '');
  if (!parsed.ok) throw new Error(parsed.problems.join());
  return parsed.source;
}

/** A process that follows the catalog: `host` is what runs in it. `late` ends the time for which what was lost stays. */
async function following() {
  const host = new Map<string, string>();
  const ends: string[] = [];
  const events: Readonly<Record<string, unknown>>[] = [];
  const lates = new Set<() => void>();
  const clock: Clock = {
    ...systemClock,
    after(_ms, callback) {
      lates.add(callback);
      return () => void lates.delete(callback);
    },
  };
  const loggerOf = (bound: object): Logger => {
    const line = (fields: object) => void events.push({ ...bound, ...fields });
    return {
      error: line,
      warn: line,
      info: line,
      debug: () => undefined,
      child: (more) => loggerOf({ ...bound, ...more }),
    };
  };
  const { registries } = messaging;
  const catalog = new SourceCatalog({ registries, seals, clock, log: loggerOf({}) });
  void catalog.follow((id, source) => {
    if (source === undefined) {
      host.delete(id);
      ends.push(id);
    } else host.set(id, source.settings.state);
  }, stop.now.signal);
  await catalog.read;
  const late = () => {
    for (const callback of [...lates]) {
      lates.delete(callback);
      callback();
    }
  };
  const declared = new DeclaredSources({ registries, seals, clock: systemClock, log: silentLogger });
  const lost = () => events.flatMap(({ type, source }) => (type === 'source_declaration_lost' ? [source] : []));
  return { catalog, declared, host, ends, late, lost };
}

async function deleteBucket(): Promise<void> {
  const answer = await natsRequest(nats.url, `$JS.API.STREAM.DELETE.KV_${SOURCES_BUCKET}`, undefined);
  expect(answer).toMatchObject({ success: true });
}

test('sources go on when the registry loses them, and those that are declared again are never stopped', async () => {
  const { catalog, declared, host, ends, late, lost } = await following();
  await declared.declareFile(new Map([['of-file', specOf('of-file')]]));
  await declared.declare('of-admin', { databaseUrl: 'postgresql://u:p@h/admin', secrets: ['a secret of theirs'] });
  await waitFor(() => host.size === 2);
  await deleteBucket();
  await waitFor(() => catalog.isLost('of-file') && catalog.isLost('of-admin'));
  expect([...host.keys()].toSorted()).toEqual(['of-admin', 'of-file']);
  await declared.declareFile(new Map([['of-file', specOf('of-file')]]));
  await waitFor(() => !catalog.isLost('of-file'));
  late();
  expect([[...host.keys()], ends, lost()]).toEqual([['of-file'], ['of-admin'], ['of-admin']]);
  expect(catalog.isLost('of-admin')).toBe(true);
  await declared.declare('of-admin', { databaseUrl: 'postgresql://u:p@h/admin', secrets: ['a secret of theirs'] });
  await waitFor(() => host.size === 2);
  expect(catalog.isLost('of-admin')).toBe(false);
});

test('a source that was removed stops at once', async () => {
  const { declared, host, ends, late, lost } = await following();
  await declared.declare('acme', { databaseUrl: 'postgresql://u:p@h/acme', secrets: ['a secret of theirs'] });
  await waitFor(() => host.get('acme') === 'active');
  await declared.setState('acme', 'removing');
  await waitFor(() => host.get('acme') === 'removing');
  await declared.forget('acme');
  await waitFor(() => ends.length === 1);
  late();
  expect([host.size, lost()]).toEqual([0, []]);
});
