import { parsePostgresUrl } from '@shapecast/service-kit';
import { parseDocument } from 'yaml';
import { parseSource, type Lookup, type SourceSpec } from './source-spec.ts';

export type ParsedSources =
  | { readonly ok: true; readonly sources: ReadonlyMap<string, SourceSpec> }
  /** Each begins with the source and the field that is wrong. */
  | { readonly ok: false; readonly problems: readonly string[] };

/**
 * Reads a file of sources: `sources:` with a map from id to source, in YAML or JSON. All of it is fine, or none of it counts. Problems
 * never repeat a value.
 */
export function parseSourcesFile(text: string, lookup: Lookup): ParsedSources {
  const document = parseDocument(text, { uniqueKeys: true, prettyErrors: false });
  if (document.errors.length > 0) {
    return { ok: false, problems: document.errors.map(({ code, pos }) => yamlProblem(code, lineOf(text, pos[0]))) };
  }
  const content = document.toJS({ maxAliasCount: 100 }) as unknown;
  const declared = isMap(content) ? (content['sources'] ?? {}) : undefined;
  if (!isMap(content) || !isMap(declared)) {
    return { ok: false, problems: ['sources: expected a map from the id of each source to what it is'] };
  }
  const others = Object.keys(content).filter((key) => key !== 'sources');
  if (others.length > 0) return { ok: false, problems: others.map((key) => `${key}: only sources: is expected here`) };
  const sources = new Map<string, SourceSpec>();
  const problems: string[] = [];
  for (const [id, value] of Object.entries(declared)) {
    const parsed = parseSource(id, value, lookup);
    if (parsed.ok) sources.set(id, parsed.source);
    else problems.push(...parsed.problems.map((problem) => `sources.${id}.${problem}`));
  }
  problems.push(...conflicts(sources.values()).map(({ id, problem }) => `sources.${id}.${problem}`));
  return problems.length > 0 ? { ok: false, problems } : { ok: true, sources };
}

/**
 * Sources that cannot be there together. A database has one source, as each costs it a slot and decoding of its own; the slots of a
 * server have different names.
 */
export function conflicts(
  sources: Iterable<Pick<SourceSpec, 'id' | 'databaseUrl' | 'state' | 'environment'>>,
): readonly { readonly id: string; readonly problem: string }[] {
  const found: { id: string; problem: string }[] = [];
  const databases = new Map<string, string>();
  const slots = new Map<string, string>();
  for (const { id, databaseUrl, state, environment } of sources) {
    if (state === 'removed') continue;
    const { server, database } = placeOf(databaseUrl);
    const slot = `${server} ${environment['ELECTRIC_REPLICATION_STREAM_ID']}`;
    const [other, namesake] = [databases.get(database), slots.get(slot)];
    if (other !== undefined) {
      found.push({ id, problem: `databaseUrl: is the database of source ${other}; a database can have one source` });
      continue;
    }
    if (namesake !== undefined) {
      found.push({
        id,
        problem: `replicationStreamId: is that of source ${namesake} on the same server; their slots would be one`,
      });
      continue;
    }
    databases.set(database, id);
    slots.set(slot, id);
  }
  return found;
}

function placeOf(text: string): { readonly server: string; readonly database: string } {
  const url = parsePostgresUrl(text);
  if ('problem' in url) return { server: text, database: text };
  const server = `${url.host.toLowerCase()}:${url.port}`;
  return { server, database: `${server}/${url.database}` };
}

function yamlProblem(code: string, line: number): string {
  if (code === 'DUPLICATE_KEY') return `line ${line}: this id or field is there twice`;
  return `line ${line}: is not YAML (${code.toLowerCase().replaceAll('_', ' ')})`;
}

function lineOf(text: string, position: number): number {
  return text.slice(0, position).split('\n').length;
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
