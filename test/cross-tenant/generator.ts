import type { Chance } from '../support/chance.ts';
import { TABLES, type Tenant } from './tenants.ts';

/** What a request has of a tenant. */
type Right = 'secret' | 'token' | 'signed' | 'none';

/** A request of somebody who wants rows of somebody else, and what may come of it. */
export interface Attack {
  readonly method: string;
  /** As it goes out. */
  readonly target: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
  /** The path is that of shapes, so that it has to be answered as its query says. */
  readonly toShapes: boolean;
  /** The source that the query names; undefined: none that there is. */
  readonly named: Tenant | undefined;
  /** What it has of that source. */
  readonly right: Right;
  /** Made like requests of clients: must get rows. */
  readonly plain: boolean;
}

type Pair = readonly [name: string, value: string];

const METHODS = ['GET', 'GET', 'GET', 'GET', 'HEAD', 'POST', 'DELETE', 'OPTIONS', 'PUT'] as const;
const PATHS = [
  '/v1//shape',
  '/v1/shape/',
  '/V1/shape',
  '/v1/%73hape',
  '/v1/shape;source_id=bravo',
  '/v1/./shape',
  '/v1/x/../shape',
  '//v1/shape',
  '/bravo/v1/shape',
  '/v1/shape/bravo',
  '/v1/shape%3f',
  '/v1/shape%00',
  'http://bravo/v1/shape',
  '/v1/authorize',
  '/v1/health',
  '/',
] as const;
const HEADERS = [
  'host',
  'x-forwarded-host',
  'x-original-url',
  'x-rewrite-url',
  'x-source-id',
  'x-http-method-override',
  'forwarded',
  'cookie',
  'origin',
  'referer',
  'if-none-match',
] as const;

/** Every second request has what one source takes and names another one; the rest play with how things are said. */
export function generate(chance: Chance, tenants: readonly Tenant[]): Attack {
  const own = chance.pick(tenants);
  if (chance.chance(0.05)) return plain(chance, own);
  const victim = chance.pick(tenants);
  const pairs: Pair[] = [];
  const add = (name: string, value: string) => void pairs.push([name, value]);
  const source = naming(chance, victim, own);
  for (const [name, value] of source) add(name, value);
  for (const [name, value] of proof(chance, own, victim)) add(name, value);
  for (const [name, value] of asking(chance, tenants, victim)) add(name, value);
  if (chance.chance(0.05)) add('x', '%zz');
  const query = (chance.chance(0.5) ? chance.shuffle(pairs) : pairs)
    .map(([name, value]) => `${name}=${value}`)
    .join('&');
  const headers = chance.chance(0.4) ? [authorization(chance, own, victim, tenants)] : [];
  for (let n = chance.int(3); n > 0; n -= 1) headers.push([chance.pick(HEADERS), headerValue(chance, victim)]);
  const toShapes = chance.chance(0.9);
  const method = chance.pick(METHODS);
  const body = method === 'POST' && chance.chance(0.8) ? JSON.stringify(bodyOf(chance, own, victim)) : '';
  const target = `${toShapes ? '/v1/shape' : chance.pick(PATHS)}?${query}`;
  return { method, target, headers, body, toShapes, plain: false, ...meaning(query, headers, tenants) };
}

function plain(chance: Chance, own: Tenant): Attack {
  const token = own.tokens[0]?.text;
  const bySecret = own.secrets.length > 0 && (token === undefined || chance.chance(0.5));
  const table = bySecret || own.open ? chance.pick(TABLES) : 'items';
  const proofs = bySecret ? `&secret=${encodeURIComponent(chance.pick(own.secrets))}` : '';
  const headers: Pair[] = bySecret || token === undefined ? [] : [['authorization', `Bearer ${token}`]];
  const target = `/v1/shape?table=${table}&offset=-1&source_id=${own.id}${proofs}`;
  const right = headers.length > 0 ? 'token' : 'secret';
  const isPlain = !own.paused;
  return { method: 'GET', target, headers, body: '', toShapes: true, named: own, right, plain: isPlain };
}

/** How the source is named. */
function naming(chance: Chance, victim: Tenant, own: Tenant): readonly Pair[] {
  const { id } = victim;
  const spelled = (name: string, value: string): readonly Pair[] => [[name, value]];
  switch (chance.int(24)) {
    case 0:
      return [
        ['source_id', own.id],
        ['source_id', id],
      ];
    case 1:
      return [
        ['source_id', id],
        ['source_id', own.id],
      ];
    case 2:
      return spelled('source_id[]', id);
    case 3:
      return [
        ['source_id', own.id],
        ['source_id[]', id],
      ];
    case 4:
      return spelled('source_id[id]', id);
    case 5:
      return spelled('%73ource_id', id);
    case 6:
      return [
        ['source_id', own.id],
        ['source%5Fid', id],
      ];
    case 7:
      return spelled('SOURCE_ID', id);
    case 8:
      return spelled('source_id', chance.pick([`${id}%00`, `${id}%20`, `%20${id}`, `${id}.`, `${id}+`, `${id}%0a`]));
    case 9:
      return spelled('source_id', chance.pick([id.toUpperCase(), `../${id}`, `${id}/../${own.id}`, `${own.id},${id}`]));
    case 10:
      return spelled('source_id', chance.pick(['*', '>', '', '%2e', '__proto__', 'constructor', `${id}.*`, 'null']));
    case 11:
      return spelled('source_id', [...id].map((letter) => `%${letter.charCodeAt(0).toString(16)}`).join(''));
    case 12:
      return [];
    case 13:
      return [
        ['source_id', id],
        ['source_id[x]', own.id],
      ];
    case 14:
      return [
        ['source_id', id],
        ['database_id', own.id],
        ['source', own.id],
      ];
    default:
      return spelled('source_id', id);
  }
}

/** What the request shows: mostly what its own source takes. */
function proof(chance: Chance, own: Tenant, victim: Tenant): readonly Pair[] {
  const mine = encodeURIComponent(own.secrets.length > 0 ? chance.pick(own.secrets) : 'none');
  const wrong = chance.pick(['', 'x', mine.slice(1), `${mine}%20`, '%00', victim.id, 'true', '[object%20Object]']);
  switch (chance.int(12)) {
    case 0:
      return [['secret', wrong]];
    case 1:
      return [['api_secret', mine]];
    case 2:
      return [
        ['secret', wrong],
        ['api_secret', mine],
      ];
    case 3:
      return [['secret[]', mine]];
    case 4:
      return [
        ['secret', mine],
        ['secret', wrong],
      ];
    case 5:
      return [['%73ecret', mine]];
    case 6:
      return [
        ['secret[x]', mine],
        ['token', mine],
      ];
    case 7:
      return [];
    default:
      return [['secret', mine]];
  }
}

/** What is asked for: shapes that every source has, at places that every source has, and with handles of all of them. */
function asking(chance: Chance, tenants: readonly Tenant[], victim: Tenant): readonly Pair[] {
  const pairs: Pair[] = [['table', chance.pick([...TABLES, 'items', 'public.items', `${victim.id}.items`, '"items"'])]];
  const handles = [...chance.pick(tenants).handles];
  pairs.push(['offset', chance.pick(['-1', '-1', '0_0', '0_inf', 'now', '0_1', '99999999_0'])]);
  if (handles.length > 0 && chance.chance(0.6)) pairs.push(['handle', chance.pick(handles)]);
  if (chance.chance(0.2)) pairs.push(['live', 'true']);
  if (chance.chance(0.1)) pairs.push(['live_sse', 'true']);
  if (chance.chance(0.1)) pairs.push(['where', chance.pick(['true', 'id%3E0', `tenant%3D't1'`, '1=1', `id>0;select`])]);
  if (chance.chance(0.1)) pairs.push(['restriction', encodeURIComponent(JSON.stringify({ where: 'true' }))]);
  if (chance.chance(0.1)) pairs.push(['columns', chance.pick(['id', 'id,tenant', '*', 'note'])]);
  if (chance.chance(0.05)) pairs.push(['subset__limit', '5'], ['subset__order_by', 'id']);
  if (chance.chance(0.05)) pairs.push(['log', 'changes_only']);
  if (chance.chance(0.05)) pairs.push(['expired_handle', handles[0] ?? '1-1']);
  return pairs;
}

function authorization(chance: Chance, own: Tenant, victim: Tenant, tenants: readonly Tenant[]): Pair {
  const tokens = own.tokens.length > 0 ? own.tokens : tenants.flatMap((tenant) => tenant.tokens);
  const token = chance.pick(tokens).text;
  const [head = '', payload = '', signature = ''] = token.split('.');
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const forged = chance.pick([
    token,
    token,
    token,
    `${part({ alg: 'none' })}.${payload}.`,
    `${part({ alg: 'HS256', kid: victim.id })}.${payload}.${signature}`,
    `${head}.${part({ exp: 4_000_000_000, tenant: 't1', source_id: victim.id })}.${signature}`,
    `${head}.${part({ exp: 4_000_000_000, shape: { table: 'items' } })}.${signature}`,
    `${head}.${payload}.${signature.slice(1)}`,
    own.secrets[0] ?? 'x',
    '',
  ]);
  return ['authorization', `${chance.pick(['Bearer', 'Bearer', 'bearer', 'Basic', 'Bearer  '])} ${forged}`];
}

function headerValue(chance: Chance, victim: Tenant): string {
  const handle = [...victim.handles][0] ?? '1-1';
  return chance.pick([
    victim.id,
    `${victim.id}.example.com`,
    `/v1/shape?source_id=${victim.id}`,
    `"${handle}:-1:0_0"`,
    '*',
    'GET',
  ]);
}

function bodyOf(chance: Chance, own: Tenant, victim: Tenant): object {
  return chance.pick<object>([
    { source_id: victim.id },
    { source_id: victim.id, secret: own.secrets[0] ?? '', table: 'items', offset: '-1' },
    { source_id: [victim.id], table: 'others' },
    { subset: { limit: 5, order_by: 'id', source_id: victim.id } },
    { where: 'true', source_id: victim.id },
    { handle: [...victim.handles][0] ?? '1-1', restriction: '{}' },
    { __proto__x: 1, constructor: { source_id: victim.id } },
  ]);
}

/** What the query says, read on our own: the last of those that are repeated counts, and what is no plain text names nothing. */
export function meaning(
  query: string,
  headers: readonly Pair[],
  tenants: readonly Tenant[],
): { readonly named: Tenant | undefined; readonly right: Right } {
  const values = new Map<string, string | undefined>();
  for (const pair of query.split('&')) {
    const equals = pair.indexOf('=');
    const [name, value] = [decoded(pair.slice(0, equals)), decoded(pair.slice(equals + 1))];
    if (name === undefined || value === undefined) continue;
    const bracket = name.endsWith(']') ? name.indexOf('[') : -1;
    if (bracket > 0) values.set(name.slice(0, bracket), undefined);
    else values.set(name, value);
  }
  const named = tenants.find(({ id }) => id === values.get('source_id'));
  if (named === undefined) return { named, right: 'none' };
  const secret = values.has('secret') ? values.get('secret') : values.get('api_secret');
  if (named.open || (secret !== undefined && named.secrets.includes(secret))) return { named, right: 'secret' };
  const sent = headers.filter(([name]) => name === 'authorization').map(([, value]) => value);
  const text = sent.length === 1 ? /^bearer +([^ ]+) *$/i.exec(sent[0] as string)?.[1] : undefined;
  const token = named.tokens.find((known) => known.text === text);
  return { named, right: token === undefined ? 'none' : token.good ? 'token' : 'signed' };
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return undefined;
  }
}

/** The request as it goes out. */
export function encode({ method, target, headers, body }: Attack): string {
  const all = [...headers];
  if (!all.some(([name]) => name === 'host')) all.unshift(['host', 'sync.example.com']);
  if (body !== '') all.push(['content-type', 'application/json'], ['content-length', String(Buffer.byteLength(body))]);
  return `${method} ${target} HTTP/1.1\r\n${all.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`;
}
