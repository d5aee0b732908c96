import { describe, expect, test } from 'vitest';
import { parseSourcesFile } from './sources-file.ts';

const parse = (text: string) => parseSourcesFile(text, () => 'postgresql://u@h/d');
const problems = (text: string) => {
  const parsed = parse(text);
  return parsed.ok ? [] : parsed.problems;
};
const entry = (database: string) => `{ databaseUrl: 'postgresql://u:hunter2@${database}', secrets: [s] }`;

describe('a file of sources', () => {
  test('is a map from id to source, as YAML or JSON; templates of YAML count', () => {
    const parsed = parse(`
sources:
  acme: &one
    databaseUrl: postgresql://u@h/acme
    secrets: [s]
    limits: &limits { maxShapes: 10 }
  globex:
    databaseUrl: postgresql://u@h/globex
    secrets: [t]
    limits: *limits
`);
    expect(parsed.ok && [...parsed.sources.keys()]).toEqual(['acme', 'globex']);
    expect(parsed.ok && parsed.sources.get('globex')?.limits.maxShapes).toBe(10);
    expect(parse('{"sources":{}}')).toEqual({ ok: true, sources: new Map() });
    expect(parse('sources:').ok).toBe(true);
  });

  test.each([
    ['[]', 'sources: expected a map from the id of each source to what it is'],
    ['sources: [a]', 'sources: expected a map from the id of each source to what it is'],
    ['sources: {}\ntenants: {}', 'tenants: only sources: is expected here'],
    [`sources:\n  acme: ${entry('h/a')}\n  acme: ${entry('h/b')}`, 'line 3: this id or field is there twice'],
    ['sources:\n  acme: {', 'line 2: is not YAML (flow indicator)'],
  ])('%j is refused', (text, expected) => {
    const found = problems(text);
    expect(found[0]).toContain(expected.split(' (')[0]);
    expect(found.join()).not.toContain('hunter2');
  });

  test('with one bad source is refused as a whole, with all that is wrong', () => {
    expect(problems(`sources:\n  acme: ${entry('h/a')}\n  globex: { secrets: [] , limits: { maxShapes: x } }`)).toEqual(
      ['sources.globex.limits.maxShapes: expected a whole number of at least 1'],
    );
    expect(problems(`sources:\n  one: { secrets: [s] }\n  two: { databaseUrl: 'postgresql://u@h/d' }`)).toEqual([
      'sources.one.databaseUrl: is required',
      'sources.two.secrets: is required, unless there is access or insecure is true',
    ]);
  });

  test('has one source for a database, however its URL is written', () => {
    const text = `sources:\n  acme: ${entry('H:5432/app')}\n  globex: ${entry('h/app?sslmode=require')}`;
    expect(problems(text)).toEqual([
      'sources.globex.databaseUrl: is the database of source acme; a database can have one source',
    ]);
    expect(problems(`sources:\n  acme: ${entry('h/app')}\n  globex: ${entry('h/other')}`)).toEqual([]);
    const removed = "{ state: removed, databaseUrl: 'postgresql://u@h/app', secrets: [s] }";
    expect(problems(`sources:\n  acme: ${removed}\n  globex: ${entry('h/app')}`)).toEqual([]);
  });

  test('has slots of different names on a server', () => {
    const named = (database: string) =>
      `{ databaseUrl: 'postgresql://u@${database}', secrets: [s], replicationStreamId: x }`;
    expect(problems(`sources:\n  acme: ${named('h/a')}\n  globex: ${named('h/b')}`)).toEqual([
      'sources.globex.replicationStreamId: is that of source acme on the same server; their slots would be one',
    ]);
    expect(problems(`sources:\n  acme: ${named('h/a')}\n  globex: ${named('other/b')}`)).toEqual([]);
    const parsed = parse(`sources:\n  a-corp: ${entry('h/a')}`);
    const environment = parsed.ok ? parsed.sources.get('a-corp')?.environment : undefined;
    expect(environment?.['ELECTRIC_REPLICATION_STREAM_ID']).toBe('a_corp');
  });
});
