import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openMemoryMessaging } from '@shapecast/messaging';
import { silentLogger, systemClock, type Logger } from '@shapecast/service-kit';
import { DeclaredSources, sealWith, SourceCatalog, SOURCES_BUCKET } from '@shapecast/sources';
import { waitFor } from '@shapecast/testkit';
import { afterEach, expect, test } from 'vitest';
import { SourcesFile } from './sources-file.ts';

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

const source = (database: string, more: object = {}) => ({
  ...{ databaseUrl: `postgresql://u:hunter2@h/${database}`, secrets: ['a secret of theirs'] },
  ...more,
});
const text = (sources: object) => JSON.stringify({ sources });

/** An installation whose replicators have copies of a file, each in a folder of its own. */
function installation() {
  const { registries } = openMemoryMessaging(systemClock);
  const seals = { database: sealWith([key()]), api: sealWith([key()]) };
  const stop = new AbortController();
  const root = mkdtempSync(join(tmpdir(), 'shapecast-file-'));
  ends.push(() => (stop.abort(), rmSync(root, { recursive: true })));
  const lines: { readonly text: string; readonly fields: object }[] = [];
  const line = (fields: object, message: string) => void lines.push({ text: message, fields });
  const log: Logger = { error: line, warn: line, info: line, debug: () => undefined, child: () => log };
  const fast = { ...systemClock, sleep: (_: number, signal?: AbortSignal) => systemClock.sleep(5, signal) };
  const deps = { registries, clock: fast, log };
  const catalog = new SourceCatalog({ ...deps, seals, log: silentLogger });
  void catalog.follow(() => undefined, stop.signal);
  const copies: SourcesFile[] = [];
  const replicator = (name: string, content: string) => {
    const folder = join(root, name);
    mkdirSync(folder);
    const path = join(folder, 'sources.yaml');
    writeFileSync(path, content);
    const own = new AbortController();
    const declared = new DeclaredSources({ ...deps, seals });
    const others = () =>
      copies.filter((each) => each !== file).flatMap(({ version }) => (version === undefined ? [] : [version]));
    const file: SourcesFile = new SourcesFile(
      { ...deps, declared, others, isLost: (id) => catalog.isLost(id) },
      { path, env: {}, key: 'a key' },
    );
    copies.push(file);
    void file.run(AbortSignal.any([stop.signal, own.signal]));
    const write = (next: string) => {
      writeFileSync(`${path}.new`, next);
      renameSync(`${path}.new`, path);
    };
    return { file, folder, write, die: () => (own.abort(), copies.splice(copies.indexOf(file), 1)) };
  };
  const states = () =>
    Object.fromEntries([...catalog.sources].map(([id, { settings }]) => [id, settings.state] as const).toSorted());
  const until = (wanted: object) =>
    waitFor(() => JSON.stringify(states()) === JSON.stringify(wanted), { describe: () => JSON.stringify(states()) });
  const lose = async (id: string, what: 'all' | 'entries') => {
    await (await registries.open(SOURCES_BUCKET)).delete(id);
    if (what === 'all') await (await registries.open('shapecast_sources_file')).delete('file');
  };
  return { replicator, states, until, lines, catalog, lose };
}

function key(): string {
  return randomBytes(32).toString('base64');
}

test('declares what the file says, and follows what becomes of it', async () => {
  const { replicator, until, lines } = installation();
  const one = replicator('one', text({ acme: source('a'), globex: source('b') }));
  await until({ acme: 'active', globex: 'active' });
  one.write(text({ acme: source('a', { state: 'paused' }) }));
  await until({ acme: 'paused', globex: 'gone' });
  await waitFor(() => one.file.report.sources === 1);
  expect(one.file.report).toMatchObject({ ok: true, sources: 1 });
  expect(one.file.report.lastSuccess).toMatch(/^\d{4}-/);
  expect(lines.filter(({ text }) => text.includes('its slot stays')).map(({ fields }) => fields)).toEqual([
    { source: 'globex' },
  ]);
  expect(JSON.stringify(lines)).not.toMatch(/hunter2|a secret/);
});

test.each([
  [
    'an entry that is wrong',
    text({ acme: source('z'), globex: { databaseUrl: 'hunter2', secrets: ['x'] } }),
    'sources.globex.databaseUrl: ',
  ],
  ['an id that is there twice', 'sources:\n  acme: {}\n  acme: {}\n', 'line 3: '],
  [
    'two sources on one database',
    text({ acme: source('a'), globex: source('a') }),
    'sources.globex.databaseUrl: is the database of source acme',
  ],
  [
    'a file that it names and that is not there',
    text({ acme: { databaseUrlFrom: { file: 'gone' }, secrets: ['x'] } }),
    'sources.acme.databaseUrlFrom: there is no such file',
  ],
  ['no YAML', 'sources: [', 'line 1: '],
])('%s keeps the last good version, and is said once with where it is', async (_, bad, problem) => {
  const { replicator, until, states, lines } = installation();
  const one = replicator('one', text({ acme: source('a') }));
  await until({ acme: 'active' });
  one.write(bad);
  await waitFor(() => !one.file.report.ok);
  expect(one.file.report.problems?.[0]).toContain(problem);
  expect(one.file.report.lastSuccess).toBeDefined();
  expect(states()).toEqual({ acme: 'active' });
  expect(JSON.stringify([one.file.report, lines])).not.toContain('hunter2');
  one.write(text({ acme: source('a'), initech: source('c') }));
  await until({ acme: 'active', initech: 'active' });
  await waitFor(() => one.file.report.ok);
  expect(lines.filter(({ text }) => text.includes('wrong')).length).toBe(1);
});

test('a folder that is swapped for another one, as Kubernetes does, is read with the files in it', async () => {
  const { replicator, until, catalog } = installation();
  const one = replicator('one', text({ acme: source('a') }));
  await until({ acme: 'active' });
  const url = (name: string) => `postgresql://u:p@h/${name}`;
  for (const [i, name] of ['first', 'second'].entries()) {
    const data = join(one.folder, `..data-${i}`);
    mkdirSync(data);
    writeFileSync(join(data, 'url'), url(name));
    writeFileSync(join(data, 'sources.yaml'), text({ acme: { databaseUrlFrom: { file: 'url' }, secrets: ['x'] } }));
    if (i === 0) {
      rmSync(join(one.folder, 'sources.yaml'));
      symlinkSync('..data/sources.yaml', join(one.folder, 'sources.yaml'));
      symlinkSync('..data/url', join(one.folder, 'url'));
    }
    symlinkSync(`..data-${i}`, join(one.folder, '..data_tmp'));
    renameSync(join(one.folder, '..data_tmp'), join(one.folder, '..data'));
    await waitFor(() => catalog.sources.get('acme')?.database?.databaseUrl === url(name));
  }
  expect(one.file.report.ok).toBe(true);
});

test('a copy that changes counts, one that did not change yet undoes nothing', async () => {
  const { replicator, until, states } = installation();
  const [before, after] = [text({ acme: source('a') }), text({ acme: source('a'), globex: source('b') })];
  const one = replicator('one', before);
  const two = replicator('two', before);
  await until({ acme: 'active' });
  await waitFor(() => two.file.report.ok);
  two.write(after);
  await until({ acme: 'active', globex: 'active' });
  await systemClock.sleep(60); // some looks of the other one
  expect(states()).toEqual({ acme: 'active', globex: 'active' });
  one.write(after);
  await waitFor(() => one.file.version === two.file.version);
  // Going back to what was there before is a change like any other.
  one.write(before);
  await until({ acme: 'active', globex: 'gone' });
});

test('a replicator that starts with an old copy leaves the newer one of those that live, and takes it where there are none', async () => {
  const { replicator, until, states, lines } = installation();
  const [before, after] = [text({ acme: source('a') }), text({ acme: source('a'), globex: source('b') })];
  const one = replicator('one', before);
  await until({ acme: 'active' });
  one.write(after);
  await until({ acme: 'active', globex: 'active' });
  await waitFor(() => one.file.report.sources === 2);
  const two = replicator('two', before);
  await waitFor(() => lines.some(({ text }) => text.includes('old copy')));
  expect(states()).toEqual({ acme: 'active', globex: 'active' });
  expect(two.file.version).toBeUndefined();
  one.die();
  await until({ acme: 'active', globex: 'gone' });
});

test('is declared again when all that was declared is lost, or some of it, and what was known stays until then', async () => {
  const { replicator, until, lose, catalog, lines } = installation();
  const one = replicator('one', text({ acme: source('a'), globex: source('b', { state: 'removed' }) }));
  await until({ acme: 'active' });
  await waitFor(() => one.file.report.ok);
  const declared = () => lines.filter(({ text }) => text === 'the sources file is declared').length;
  for (const what of ['all', 'entries'] as const) {
    const before = declared();
    await lose('acme', what);
    await waitFor(() => declared() > before);
    await waitFor(() => !catalog.isLost('acme'));
    await until({ acme: 'active' });
  }
});
