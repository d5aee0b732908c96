import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  collectSubset,
  decodeQuery,
  definitionKey,
  emptyParams,
  parseShapeRequest,
  type DefinitionParams,
  type HeaderList,
  type Params,
} from '@shapecast/protocol';
import { forbiddenText } from '../answers.ts';
import type { Sources } from '../sources/source-front.ts';
import { RESTRICTION_PARAM, restricted, restrictionOf } from './restriction-param.ts';

const NO_STORE: HeaderList = ['cache-control', 'no-store'];
const NOT_READY = 'the source is not ready';
const SECRETS = ['secret', 'api_secret'];
const DEFINITION = [
  'table',
  'where',
  'params',
  'columns',
  'queryable_columns',
  'replica',
  'log',
  'experimental_compaction',
];

/**
 * For an edge that asks before it looks into its cache: may who has this token send this query to `/v1/shape`? The answer has no
 * body; `shapecast-query` is the query to send instead, in which everything that the token decides is written out, so that the URL
 * alone says what the answer is. `shapecast-reason` says why not.
 */
export async function authorize(
  sources: Pick<Sources, 'of'>,
  req: IncomingMessage,
  res: ServerResponse,
  query: string,
): Promise<void> {
  const params = decodeQuery(query);
  if (params === undefined) return finish(res, 403, [...NO_STORE, 'shapecast-reason', 'the query is malformed']);
  const abort = new AbortController();
  res.once('close', () => abort.abort(new Error('the client left')));
  const source = await sources.of(params, () => abort.signal);
  if (source === undefined) return finish(res, 503, [...NO_STORE, 'retry-after', '5', 'shapecast-reason', NOT_READY]);
  const admission = await source.gate.admit(req);
  if (admission.kind === 'failure') {
    source.telemetry.denied(admission.denial);
    return finish(res, admission.status, [...admission.headers, 'shapecast-reason', admission.reason]);
  }
  const request = parseShapeRequest(collectSubset(params));
  // The service says what is wrong with it, and nothing can come of it.
  if (!request.ok) return answer(res, without(params, SECRETS), undefined);
  const allowed = admission.restrict(request.value);
  if ('refused' in allowed) {
    source.telemetry.denied('grant');
    return finish(res, 403, [...NO_STORE, 'shapecast-reason', forbiddenText(allowed.refused)]);
  }
  const rest = without(params, [...SECRETS, ...DEFINITION]);
  return answer(res, { ...rest, ...written(allowed.definition) }, allowed.definition);
}

/** What is written out has to be read as what was meant, by the service that trusts it. */
function answer(res: ServerResponse, params: Params, meant: DefinitionParams | undefined): void {
  const query = encode(params);
  const decoded = decodeQuery(query) ?? {};
  const read = parseShapeRequest(collectSubset(decoded));
  const restriction = restrictionOf(decoded);
  const key =
    !read.ok || restriction === 'invalid' ? undefined : definitionKey(restricted(read.value.definition, restriction));
  if (key !== (meant && definitionKey(meant))) {
    return finish(res, 403, [...NO_STORE, 'shapecast-reason', 'the query cannot be passed on as it was meant']);
  }
  finish(res, 200, [...NO_STORE, 'shapecast-query', query]);
}

function finish(res: ServerResponse, status: number, headers: HeaderList): void {
  res.writeHead(status, [...headers, 'content-length', '0']).end();
}

function without(params: Params, names: readonly string[]): Record<string, unknown> {
  const kept = emptyParams();
  for (const [name, value] of Object.entries(params)) {
    if (!names.includes(name) && name !== RESTRICTION_PARAM) kept[name] = value;
  }
  return kept;
}

/** A definition as parameters. */
function written(definition: DefinitionParams): Record<string, unknown> {
  const { table, where, params, columns, queryableColumns, replica, log, compaction, restriction } = definition;
  return {
    ...(table === undefined ? undefined : { table }),
    ...(where === undefined ? undefined : { where }),
    ...(params === undefined ? undefined : { params }),
    ...(columns === undefined ? undefined : { columns }),
    ...(queryableColumns === undefined ? undefined : { queryable_columns: queryableColumns }),
    ...(replica === 'default' ? undefined : { replica }),
    ...(log === 'full' ? undefined : { log }),
    ...(compaction ? { experimental_compaction: 'true' } : undefined),
    ...(restriction === undefined ? undefined : { [RESTRICTION_PARAM]: JSON.stringify(restriction) }),
  };
}

/** In one order, so that equal requests are one entry of a cache. */
function encode(params: Readonly<Record<string, unknown>>): string {
  return Object.entries(params)
    .flatMap(([name, value]) => pairs(name, value))
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
    .sort()
    .join('&');
}

function pairs(name: string, value: unknown): readonly (readonly [string, string])[] {
  if (typeof value === 'string') return [[name, value]];
  if (Array.isArray(value)) return value.map((item) => [`${name}[]`, String(item)]);
  return Object.entries(value as Readonly<Record<string, unknown>>).map(([key, item]) => [
    `${name}[${key}]`,
    String(item),
  ]);
}
