import { randomBytes } from 'node:crypto';
import { openMemoryMessaging } from '@shapecast/messaging';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { waitFor } from '@shapecast/testkit';
import { afterEach, describe, expect, test } from 'vitest';
import { DeclaredSources } from './declared-sources.ts';
import { sealWith } from './seal.ts';
import { SourceCatalog } from './source-catalog.ts';
import { SOURCES_BUCKET, type Source, type SourceEntry } from './source-entry.ts';
import { parseSourcesFile } from './sources-file.ts';

const key = () => randomBytes(32).toString('base64');
const stops: (() => void)[] = [];

afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

const file = (sources: Record<string, object>) => {
  const all = Object.entries(sources).map(([id, more]): [string, object] => [
    id,
    { databaseUrl: `postgresql://u:hunter2@h/${id}`, secrets: ['a secret'], ...more },
  ]);
  const parsed = parseSourcesFile(JSON.stringify({ sources: Object.fromEntries<unknown>(all) }), () => '');
  if (!parsed.ok) throw new Error(parsed.problems.join());
  return parsed.sources;
};

function world(keys = { database: [key()], api: [key()] }, messaging = openMemoryMessaging(systemClock)) {
  const deps = { registries: messaging.registries, clock: systemClock, log: silentLogger };
  const seals = { database: sealWith(keys.database), api: sealWith(keys.api) };
  const declared = new DeclaredSources({ ...deps, seals });
  const follow = (some: Partial<typeof seals>) => {
    const catalog = new SourceCatalog({ ...deps, seals: some });
    const seen: [string, Source | undefined][] = [];
    const stop = new AbortController();
    stops.push(() => stop.abort());
    void catalog.follow((id, source) => seen.push([id, source]), stop.signal);
    return { catalog, seen };
  };
  const stored = async (id: string) =>
    (await (await messaging.registries.open<SourceEntry>(SOURCES_BUCKET)).get(id))?.value;
  return { declared, follow, stored, seals, keys, messaging };
}

describe('sources that are declared', () => {
  test('reach every process, each with the part that it has the key of', async () => {
    const { declared, follow, seals } = world();
    const router = follow({ database: seals.database });
    const api = follow({ api: seals.api });
    expect(await declared.declareFile(file({ acme: { limits: { maxShapes: 3 } } }))).toEqual(['acme']);
    await waitFor(() => router.catalog.sources.size > 0 && api.catalog.sources.size > 0);
    const forRouter = router.catalog.sources.get('acme');
    expect(forRouter?.database).toEqual({ databaseUrl: 'postgresql://u:hunter2@h/acme' });
    expect(forRouter?.api).toBeUndefined();
    const forApi = api.catalog.sources.get('acme');
    expect(forApi?.database).toBeUndefined();
    expect(forApi?.api?.secrets).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/)]);
    expect(forApi?.settings).toMatchObject({ id: 'acme', state: 'active', origin: 'file', limits: { maxShapes: 3 } });
  });

  test('hold nothing confidential where others can read it', async () => {
    const { declared, stored } = world();
    await declared.declareFile(file({ acme: {} }));
    const text = JSON.stringify(await stored('acme'));
    expect(text).toContain('"origin":"file"');
    for (const secret of ['hunter2', 'a secret', 'postgresql']) expect(text).not.toContain(secret);
  });

  test('are written once however often the file is read', async () => {
    const { declared, follow, seals } = world();
    await declared.declareFile(file({ acme: {}, globex: {} }));
    const { seen } = follow({ database: seals.database });
    await waitFor(() => seen.length === 2);
    expect(await declared.declareFile(file({ acme: {}, globex: {} }))).toEqual([]);
    expect(await declared.declareFile(file({ acme: { displayName: 'Acme' }, globex: {} }))).toEqual(['acme']);
    await waitFor(() => seen.length === 3);
    expect(seen[2]?.[1]?.settings.displayName).toBe('Acme');
  });

  test('that are no longer in the file are gone, and are back when they are in it again', async () => {
    const { declared, stored } = world();
    await declared.declareFile(file({ acme: {}, globex: {} }));
    expect(await declared.declareFile(file({ acme: {} }))).toEqual(['globex']);
    expect((await stored('globex'))?.state).toBe('gone');
    expect(await declared.declareFile(file({ acme: {} }))).toEqual([]);
    expect(await declared.declareFile(file({ acme: {}, globex: {} }))).toEqual(['globex']);
    expect((await stored('globex'))?.state).toBe('active');
  });

  test('that are removed are removed once: what the file still says does not bring them back', async () => {
    const { declared, stored } = world();
    await declared.declareFile(file({ acme: {} }));
    await declared.declareFile(file({ acme: { state: 'removed' } }));
    expect((await stored('acme'))?.state).toBe('removing');
    await declared.forget('acme');
    expect(await stored('acme')).toBeUndefined();
    expect(await declared.declareFile(file({ acme: { state: 'removed' } }))).toEqual([]);
    expect(await stored('acme')).toBeUndefined();
    await declared.declareFile(file({ acme: {} }));
    await declared.forget('acme');
    expect((await stored('acme'))?.state).toBe('active');
  });

  test('through the admin API are added, changed, paused and removed', async () => {
    const { declared, stored } = world();
    const acme = { databaseUrl: 'postgresql://u@h/acme', secrets: ['s'] };
    expect(await declared.declare('acme', acme)).toBe('added');
    expect(await declared.declare('acme', acme)).toBe('same');
    expect(await declared.declare('acme', { ...acme, displayName: 'Acme' })).toBe('changed');
    expect(await declared.setState('acme', 'paused')).toBe(true);
    expect((await stored('acme'))?.state).toBe('paused');
    expect(await declared.setState('none', 'paused')).toBe(false);
    await declared.setState('acme', 'removing');
    await expect(declared.setState('acme', 'active')).rejects.toThrow('is being removed');
    await expect(declared.declare('acme', acme)).rejects.toThrow('is being removed');
  });

  test('through the admin API are refused with the field that is wrong', async () => {
    const { declared } = world();
    await declared.declare('acme', { databaseUrl: 'postgresql://u@h/acme', secrets: ['s'] });
    await expect(declared.declare('globex', { secrets: ['s'] })).rejects.toThrow('databaseUrl: is required');
    await expect(
      declared.declare('globex', { databaseUrlFrom: { file: '/etc/passwd' }, secrets: ['s'] }),
    ).rejects.toThrow('databaseUrlFrom: files and variables are those of other machines');
    await expect(
      declared.declare('globex', { databaseUrl: 'postgresql://u@H:5432/acme', secrets: ['s'] }),
    ).rejects.toThrow('databaseUrl: is the database of source acme');
    await expect(
      declared.declare('globex', { databaseUrl: 'postgresql://u@h/g', secrets: ['s'], state: 'removed' }),
    ).rejects.toThrow('DELETE');
  });

  test('belong to the file or to the admin API, and are changed where they were declared', async () => {
    const { declared, stored } = world();
    await declared.declareFile(file({ acme: {} }));
    await expect(declared.declare('acme', { databaseUrl: 'postgresql://u@h/x', secrets: ['s'] })).rejects.toThrow(
      'declared in the sources file',
    );
    await expect(declared.setState('acme', 'paused')).rejects.toThrow('declared in the sources file');
    await declared.declare('globex', { databaseUrl: 'postgresql://u@h/globex', secrets: ['s'] });
    await expect(declared.declareFile(file({ acme: { displayName: 'x' }, globex: {} }))).rejects.toThrow(
      'sources.globex: there is one of this id that came through the admin API',
    );
    await expect(
      declared.declareFile(file({ acme: { displayName: 'x', databaseUrl: 'postgresql://u@h/globex' } })),
    ).rejects.toThrow('is the database of source globex');
    expect((await stored('acme'))?.displayName).toBeUndefined();
    await declared.declareFile(file({}));
    expect((await stored('globex'))?.state).toBe('active');
    await declared.setState('acme', 'removing');
    expect((await stored('acme'))?.state).toBe('removing');
  });

  test('are read with the old key while it is there, and sealed with the new one', async () => {
    const old = { database: [key()], api: [key()] };
    const before = world(old);
    await before.declared.declareFile(file({ acme: {} }));
    const both = { database: [key(), ...old.database], api: [key(), ...old.api] };
    const after = { database: both.database.slice(0, 1), api: both.api.slice(0, 1) };

    const early = world(after, before.messaging);
    const { catalog } = early.follow(early.seals);
    await waitFor(() => catalog.unreadable.size === 1);
    expect(catalog.unreadable.get('acme')).toBe('What is stored for the source was sealed with another key.');
    expect(catalog.sources.size).toBe(0);

    const between = world(both, before.messaging);
    expect(await between.declared.declareFile(file({ acme: {} }))).toEqual([]);
    expect([await between.declared.reseal(), await between.declared.reseal()]).toEqual([1, 0]);
    await waitFor(() => catalog.sources.size === 1 && catalog.unreadable.size === 0);
    expect(catalog.sources.get('acme')?.database?.databaseUrl).toBe('postgresql://u:hunter2@h/acme');
  });

  test('that were sealed with a key that is lost are written anew from the file', async () => {
    const before = world();
    await before.declared.declareFile(file({ acme: {} }));
    const after = world(undefined, before.messaging);
    expect(await after.declared.reseal()).toBe(0);
    expect(await after.declared.declareFile(file({ acme: {} }))).toEqual(['acme']);
    const { catalog } = after.follow(after.seals);
    await waitFor(() => catalog.sources.size === 1);
    expect(catalog.unreadable.size).toBe(0);
  });

  test('that cannot be read keep nobody from declaring others', async () => {
    const before = world();
    await before.declared.declare('lost', { databaseUrl: 'postgresql://u@h/lost', secrets: ['s'] });
    const after = world(undefined, before.messaging);
    expect(await after.declared.declare('acme', { databaseUrl: 'postgresql://u@h/acme', secrets: ['s'] })).toBe(
      'added',
    );
    expect(await after.declared.declareFile(file({ globex: {} }))).toEqual(['globex']);
  });
});
