import type { Chance } from '../support/chance.ts';
import { DEFINITIONS, type Definition } from './definitions.ts';

export const SECRET = 'correct-horse-battery';

/** A request, and what is known about its answer before it is sent. */
export interface FuzzRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Buffer | undefined;
  /** The path is the shape's, by its exact spelling. */
  readonly onShape: boolean;
  /** Undefined: cannot be told, because the query is not one. */
  readonly authorised: boolean | undefined;
  /** The shape that the request means, when nothing that names it was tampered with. */
  readonly definition: Definition | undefined;
  readonly tooLarge: 'url' | 'headers' | 'body' | undefined;
}

/** What the run has learnt from earlier answers: real handles and offsets get further than invented ones. */
export interface Learnt {
  readonly handles: readonly string[];
  readonly offsets: readonly string[];
  readonly tags: readonly string[];
}

type Pair = readonly [name: string, value: string];

const NASTY = [
  '',
  ' ',
  '\u0000',
  '\u202e',
  '💥',
  'é'.repeat(30),
  "'",
  '"',
  '""',
  '$1',
  '%',
  '\\',
  ';',
  '--',
  '/*',
  "' OR 1=1 --",
  '); DROP TABLE mine; --',
  'null',
  'undefined',
  'NaN',
  'Infinity',
  '-0',
  '1e309',
  '9'.repeat(40),
  '0x10',
  'true',
  'false',
  '[]',
  '{}',
  '{"1":"x"}',
  '{"a":',
  '__proto__',
  'constructor',
  'toString',
  '../../etc/passwd',
  '\r\nset-cookie: a=b',
  '('.repeat(500),
  'a'.repeat(5_000),
] as const;

const CLAUSES = [
  'id = 1',
  'id = 1 OR true',
  'id IN (1, 2',
  'foo = 1',
  '1 x 1',
  'id + 1',
  'id = $2',
  'id = 1; SELECT 1',
  'pg_sleep(10) IS NULL',
  'id = (SELECT 1)',
  'owner ~ $1',
  `owner LIKE '${'%'.repeat(50)}a'`,
  'NOT '.repeat(300) + 'true',
  `${'('.repeat(200)}true${')'.repeat(200)}`,
  "title::int4 = 1 AND id = 'x'",
  "id = 1 AND '",
  'ARRAY[id] @> ARRAY[1]',
  'id BETWEEN 1 AND',
  'exists(select 1)',
] as const;

const NAMES = [
  'table',
  'offset',
  'handle',
  'where',
  'params',
  'params[1]',
  'params[2]',
  'params[a]',
  'params[]',
  'params[1][2]',
  'columns',
  'columns[]',
  'queryable_columns',
  'replica',
  'log',
  'live',
  'live_sse',
  'experimental_live_sse',
  'cursor',
  'experimental_compaction',
  'subset__where',
  'subset__params',
  'subset__params[1]',
  'subset__order_by',
  'subset__limit',
  'subset__offset',
  'subset__foo',
  'subset',
  'subset[where]',
  'cache-buster',
  'expired_handle',
  'source_id',
  '__proto__',
  'constructor[prototype][x]',
  '[x]',
  'a[b',
  '',
] as const;

/** Names that do not change which shape is meant. */
const HARMLESS = new Set([
  'offset',
  'handle',
  'cursor',
  'live',
  'live_sse',
  'experimental_live_sse',
  'experimental_compaction',
  'cache-buster',
  'expired_handle',
  '__proto__',
  'constructor[prototype][x]',
  '[x]',
  'a[b',
  '',
]);

const SHAPE = '/v1/shape';
const PATHS = [
  '/',
  '/v1/health',
  '/v1/shape/',
  '/v1//shape',
  '//v1/shape',
  '/v1/%73hape',
  '/v1/shape/x',
  '/nope',
  '/*',
];
const METHODS = ['GET', 'GET', 'GET', 'GET', 'GET', 'GET', 'POST', 'POST', 'HEAD', 'OPTIONS', 'DELETE', 'PUT', 'PATCH'];

/** One random request: most begin as a good one and are then tampered with. */
export function generate(chance: Chance, learnt: Learnt): FuzzRequest {
  const definition = chance.pick(DEFINITIONS);
  const method = chance.pick(METHODS);
  const path = chance.chance(0.95) ? SHAPE : chance.pick(PATHS);
  const secret = secretPairs(chance);
  let pairs = [...Object.entries(definition.params), ...position(chance, learnt)] as Pair[];
  let intact = true;
  for (let n = chance.int(4); n > 0; n -= 1) {
    const [next, harmless] = tamper(chance, pairs, learnt);
    pairs = next;
    intact &&= harmless;
  }
  const tooLarge = path === SHAPE ? oversize(chance, method) : undefined;
  let query = [...chance.shuffle([...pairs, ...secret.pairs])]
    .map(([name, value]) => encode(chance, name, value))
    .join('&');
  let malformed = false;
  if (chance.chance(0.03)) {
    query += `&x=${chance.pick(['%zz', '%', '%e2%28', '%ff', '%c3'])}`;
    malformed = true;
  }
  if (tooLarge === 'url') query += `&padding=${'x'.repeat(33_000 + chance.int(20_000))}`;
  const body = method === 'POST' || chance.chance(0.02) ? someBody(chance, definition) : undefined;
  return {
    method,
    path: `${path}?${query}`,
    headers: someHeaders(chance, learnt, tooLarge === 'headers'),
    body: tooLarge === 'body' ? Buffer.alloc(8_000_001 + chance.int(1_000_000), 0x20) : body?.bytes,
    onShape: path === SHAPE,
    authorised: secret.right,
    definition: intact && !malformed && (body === undefined || body.harmless) ? definition : undefined,
    tooLarge,
  };
}

function oversize(chance: Chance, method: string): FuzzRequest['tooLarge'] {
  if (method === 'POST') return chance.chance(0.0005) ? 'body' : undefined;
  if (method !== 'GET') return undefined;
  if (chance.chance(0.002)) return 'url';
  return chance.chance(0.002) ? 'headers' : undefined;
}

function secretPairs(chance: Chance): { readonly pairs: readonly Pair[]; readonly right: boolean } {
  const right = chance.chance(0.85);
  if (right) return { pairs: [[chance.pick(['secret', 'secret', 'api_secret']), SECRET]], right };
  const wrong: readonly (readonly Pair[])[] = [
    [],
    [['secret', '']],
    [['secret', `${SECRET}x`]],
    [['secret', SECRET.slice(1)]],
    [['secret', SECRET.toUpperCase()]],
    [['secret[]', SECRET]],
    [['secret[a]', SECRET]],
    [['Secret', SECRET]],
    [
      ['secret', ''],
      ['api_secret', SECRET],
    ],
  ];
  return { pairs: chance.pick(wrong), right };
}

function position(chance: Chance, learnt: Learnt): Pair[] {
  if (chance.chance(0.4) || learnt.handles.length === 0) return [['offset', chance.pick(['-1', '-1', 'now', '-1_0'])]];
  const pairs: Pair[] = [
    ['offset', chance.pick(['0_0', '0_inf', '0_1', ...learnt.offsets])],
    ['handle', chance.pick(learnt.handles)],
  ];
  if (chance.chance(0.1)) pairs.push(['live', 'true']);
  if (chance.chance(0.02)) pairs.push(['live_sse', 'true']);
  return pairs;
}

/** Changes one thing; second is whether the request still means the same shape. */
function tamper(chance: Chance, pairs: readonly Pair[], learnt: Learnt): readonly [Pair[], boolean] {
  const at = chance.int(pairs.length);
  const [name] = pairs[at] ?? ['', ''];
  switch (chance.int(4)) {
    case 0:
      return [pairs.filter((_pair, i) => i !== at), HARMLESS.has(name)];
    case 1:
      return [
        pairs.map((pair, i): Pair => (i === at ? [name, someValue(chance, name, learnt)] : pair)),
        HARMLESS.has(name),
      ];
    case 2: {
      const added = chance.pick(NAMES);
      return [[...pairs, [added, someValue(chance, added, learnt)]], HARMLESS.has(added)];
    }
    default:
      // Twice the same is once.
      return [[...pairs, pairs[at] ?? ['', '']], !name.includes('[') || name === 'params[1]'];
  }
}

function someValue(chance: Chance, name: string, learnt: Learnt): string {
  if (chance.chance(0.3)) return chance.pick(NASTY);
  switch (name) {
    case 'table':
      return chance.pick([
        'mine',
        'theirs',
        'public.mine',
        '"mine"',
        'MINE',
        'pg_catalog.pg_class',
        'a.b.c',
        'mi ne',
        '.x',
      ]);
    case 'offset':
      return chance.pick([
        '-1',
        'now',
        '0_0',
        '0_inf',
        '1_0',
        '99999999999999999999_0',
        '0_-1',
        '1_',
        '_1',
        ...learnt.offsets,
      ]);
    case 'handle':
      return chance.pick([...learnt.handles, 'bogus', '1-1', '']);
    case 'where':
    case 'subset__where':
      return chance.pick(CLAUSES);
    case 'columns':
    case 'queryable_columns':
    case 'columns[]':
      return chance.pick(['id', 'id,owner', 'owner', 'id,', ',', '"', 'id,nope', '"id","title"', 'id,id']);
    case 'replica':
      return chance.pick(['default', 'full', 'FULL', 'x']);
    case 'log':
      return chance.pick(['full', 'changes_only', 'x']);
    case 'subset__order_by':
      return chance.pick([
        'id',
        'title DESC NULLS LAST, id',
        'lower(title)',
        '(SELECT 1)',
        'id; DROP TABLE mine',
        '$1',
        'id ASC,',
      ]);
    case 'subset__limit':
    case 'subset__offset':
      return chance.pick(['1', '0', '-1', 'x', '1.5', '9'.repeat(30)]);
    case 'subset__params':
    case 'params':
      return chance.pick(['{"1":"a"}', '[1]', 'x', '{"1":{"a":1}}', '{"2":"a"}']);
    default:
      return chance.pick(['true', 'false', '1', '0', 'x']);
  }
}

/** Form encoding, now and then with everything or nothing escaped. */
function encode(chance: Chance, name: string, value: string): string {
  const escapeAll = (text: string): string =>
    [...Buffer.from(text)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
  if (chance.chance(0.02)) return `${escapeAll(name)}=${escapeAll(value)}`;
  const keyed = name.replaceAll(/[^\w[\]-]/g, encodeURIComponent);
  return value === '' && chance.chance(0.3) ? keyed : `${keyed}=${encodeURIComponent(value)}`;
}

function someHeaders(chance: Chance, learnt: Learnt, tooLarge: boolean): Record<string, string> {
  const headers: Record<string, string> = {};
  if (tooLarge) headers['x-padding'] = 'x'.repeat(70_000 + chance.int(40_000));
  if (chance.chance(0.2)) {
    headers['if-none-match'] = chance.pick([
      '*',
      'W/"x"',
      '"',
      ',,,',
      '""',
      ...learnt.tags,
      `"x", ${learnt.tags[0] ?? ''}`,
    ]);
  }
  if (chance.chance(0.1))
    headers['x-request-id'] = chance.pick(['x', 'y'.repeat(36), '\u00e9'.repeat(30), 'z'.repeat(300)]);
  if (chance.chance(0.1)) headers['accept'] = chance.pick(['text/event-stream', '*/*', 'text/html', ';;']);
  if (chance.chance(0.1)) headers['origin'] = chance.pick(['https://a.example', 'null', '']);
  if (chance.chance(0.1))
    headers['access-control-request-headers'] = chance.pick(['content-type', ',,', 'x'.repeat(2_000)]);
  if (chance.chance(0.1)) headers['accept-encoding'] = chance.pick(['gzip', 'br;q=0', 'x']);
  if (chance.chance(0.05)) headers['cookie'] = 'a=b; secret=x';
  if (chance.chance(0.05)) headers['authorization'] = 'Bearer x';
  if (chance.chance(0.05)) headers['range'] = 'bytes=0-10';
  if (chance.chance(0.05))
    headers['content-type'] = chance.pick(['text/plain', 'application/json', 'multipart/form-data']);
  return headers;
}

function someBody(
  chance: Chance,
  definition: Definition,
): { readonly bytes: string | Buffer; readonly harmless: boolean } {
  const harmless = { harmless: true };
  switch (chance.int(8)) {
    case 0:
      return { bytes: '', ...harmless };
    case 1:
      return { bytes: '{}', ...harmless };
    case 2:
      return { bytes: chance.pick(['{', '[1]', 'null', '"x"', '{"a":}', '\u0000', '{"a":1}x']), harmless: false };
    case 3:
      return { bytes: Buffer.from([0xff, 0xfe, 0x7b, chance.int(256)]), harmless: false };
    case 4:
      return { bytes: `${'['.repeat(10_000)}${']'.repeat(10_000)}`, harmless: false };
    case 5:
      // A subset can only narrow the shape.
      return { bytes: JSON.stringify({ where: chance.pick(['true', 'id > 3', '1 = 1 OR true']) }), ...harmless };
    case 6:
      return { bytes: JSON.stringify({ subset: someJson(chance, 0), ...definition.params }), harmless: false };
    default:
      return {
        bytes: JSON.stringify(Object.fromEntries(NAMES.map((name) => [name, someJson(chance, 0)]))),
        harmless: false,
      };
  }
}

function someJson(chance: Chance, depth: number): unknown {
  switch (chance.int(depth > 3 ? 5 : 7)) {
    case 0:
      return chance.pick(NASTY);
    case 1:
      return chance.pick([0, -1, 1.5, 1e308, 2 ** 53]);
    case 2:
      return chance.pick([true, false, null]);
    case 3:
      return chance.pick(CLAUSES);
    case 4:
      return chance.pick(['id', 'mine', '-1', 'now', '1']);
    case 5:
      return [someJson(chance, depth + 1), someJson(chance, depth + 1)];
    default:
      return { [chance.pick(NAMES)]: someJson(chance, depth + 1), '1': someJson(chance, depth + 1) };
  }
}
