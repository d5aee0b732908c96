import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { sourcesSchema } from './sources-schema.ts';
import { CHART } from './paths.ts';

/** One documented value, or a group of them. */
interface ValueDoc {
  readonly path: readonly string[];
  /** The text after `# --`; undefined for a group. */
  readonly text: string | undefined;
  /** What the `@schema` comment adds. */
  readonly schema: JsonSchema;
  readonly section: string;
}

export type JsonSchema = Readonly<Record<string, unknown>>;
type Tree = Readonly<Record<string, unknown>>;

const KEY = /^( *)([A-Za-z][A-Za-z0-9]*):(?: |$)/;
const INDENT = 2;

/** Components take what they do not say themselves from `defaults`, so they have all of its keys. */
const COMPONENTS = ['replicator', 'router', 'api', 'edge'];

/** Reads the comments of values.yaml, in its order. Throws where a value is neither documented nor part of one that is. */
function readValueDocs(text: string): readonly ValueDoc[] {
  const docs: ValueDoc[] = [];
  const path: string[] = [];
  let section = '';
  let comment: string[] = [];
  for (const line of text.split('\n')) {
    const trimmed = line.trim();
    if (trimmed.startsWith('## ')) {
      section = trimmed.slice(3);
      comment = [];
    } else if (trimmed.startsWith('#')) {
      comment.push(trimmed.slice(1).trim());
    } else {
      const [, indent, key] = KEY.exec(line) ?? [];
      if (indent === undefined || key === undefined) {
        comment = [];
        continue;
      }
      path.splice(indent.length / INDENT, path.length, key);
      const inside = docs.some(({ path: other, text: said }) => said !== undefined && isBelow(path, other));
      if (!inside) docs.push({ path: [...path], section, ...parseComment(comment, path) });
      comment = [];
    }
  }
  return docs;
}

function parseComment(lines: readonly string[], path: readonly string[]): Pick<ValueDoc, 'text' | 'schema'> {
  const start = lines.findIndex((line) => line.startsWith('-- '));
  if (start < 0) return { text: undefined, schema: {} };
  const said = lines.slice(start).filter((line) => !line.startsWith('@schema'));
  const added = lines.find((line) => line.startsWith('@schema'));
  try {
    const schema = added === undefined ? {} : (JSON.parse(added.slice('@schema'.length)) as JsonSchema);
    return { text: said.join(' ').slice(3).trim(), schema };
  } catch (cause) {
    throw new Error(`The @schema of ${path.join('.')} is not JSON.`, { cause });
  }
}

function isBelow(path: readonly string[], other: readonly string[]): boolean {
  return path.length > other.length && other.every((part, i) => part === path[i]);
}

/** values.schema.json: closed where the chart owns the keys, open where they are those of Kubernetes. */
function valuesSchema(text: string): JsonSchema {
  const values = parse(text) as Tree;
  const docs = readValueDocs(text);
  const all = objectOf(docs, values, []);
  const properties = { ...(all['properties'] as Tree) };
  const component = properties['defaults'] as JsonSchema;
  delete properties['defaults'];
  for (const name of COMPONENTS) properties[name] = componentOf(properties[name] as JsonSchema, component);
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Values of the Shapecast chart',
    type: 'object',
    additionalProperties: false,
    properties: { ...properties, defaults: { $ref: '#/$defs/component' } },
    $defs: { component, sources: sourcesSchema },
  };
}

function objectOf(docs: readonly ValueDoc[], values: Tree, path: readonly string[]): JsonSchema {
  const below = docs.filter(({ path: other }) => other.length === path.length + 1 && isBelow(other, path));
  const properties = Object.fromEntries(
    below.map((doc) => {
      const key = doc.path.at(-1) as string;
      const value = values[key];
      const schema = doc.text === undefined ? objectOf(docs, value as Tree, doc.path) : valueOf(doc, value);
      return [key, schema];
    }),
  );
  // Charts above this one may say more in `global`.
  return { type: 'object', additionalProperties: path.join('.') === 'global', properties };
}

function valueOf(doc: ValueDoc, value: unknown): JsonSchema {
  const { text: description, schema } = doc;
  if ('$ref' in schema) return schema;
  if ('enum' in schema) return { description, ...schema };
  const type = schema['type'] ?? typeOf(value);
  if (type === undefined) throw new Error(`${doc.path.join('.')} is null and has no type; add it to its @schema.`);
  return { description, type, ...schema };
}

function typeOf(value: unknown): string | undefined {
  if (value === null || value === undefined) return undefined;
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

/** Keys of `defaults` by reference; the component's own as they are. */
function componentOf(own: JsonSchema, component: JsonSchema): JsonSchema {
  const shared = Object.keys(component['properties'] as Tree);
  const extra = Object.entries(own['properties'] as Tree).filter(([key]) => !shared.includes(key));
  const references = shared.map((key) => [key, { $ref: `#/$defs/component/properties/${key}` }]);
  return { type: 'object', additionalProperties: false, properties: Object.fromEntries([...references, ...extra]) };
}

/** README.md of the chart: the hand-written beginning, then a table of values per section. */
function chartReadme(text: string, beginning: string): string {
  const values = parse(text) as Tree;
  const docs = readValueDocs(text).filter(({ text: said }) => said !== undefined);
  const sections = [...new Set(docs.map(({ section }) => section))];
  const tables = sections.map((section) => {
    const rows = docs
      .filter((doc) => doc.section === section)
      .map(({ path, text: said }) => `| \`${path.join('.')}\` | ${said} | ${defaultOf(at(values, path))} |`);
    return [`### ${section}`, '', '| value | what it is | default |', '| --- | --- | --- |', ...rows, ''].join('\n');
  });
  return `${beginning.trimEnd()}\n\n## Values\n\n${tables.join('\n')}`;
}

function at(values: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((value, key) => (value as Tree)[key], values);
}

function defaultOf(value: unknown): string {
  return value === '' ? '–' : `\`${JSON.stringify(value).replaceAll('|', '\\|')}\``;
}

/** What the comments of values.yaml make of the files that are made from them: path in the chart to text. */
export function generatedFiles(): ReadonlyMap<string, string> {
  const text = readFileSync(`${CHART}/values.yaml`, 'utf8');
  const beginning = readFileSync(`${CHART}/README.head.md`, 'utf8');
  return new Map([
    ['values.schema.json', `${JSON.stringify(valuesSchema(text), undefined, 2)}\n`],
    ['README.md', chartReadme(text, beginning)],
  ]);
}
