import { emptyParams, isObject, type Params } from './query-string.ts';

const PREFIX = 'subset__';
const SUBSET_KEYS: ReadonlySet<string> = new Set([
  'where',
  'order_by',
  'limit',
  'offset',
  'params',
  'where_expr',
  'order_by_expr',
]);

/** Moves `subset__x` parameters to the object `subset`, without the prefix (QP-7). */
export function collectSubset(query: Params): Params {
  let collected: Record<string, unknown> | undefined;
  for (const name of Object.keys(query)) {
    if (!name.startsWith(PREFIX)) continue;
    collected ??= Object.assign(emptyParams(), isObject(query.subset) ? query.subset : undefined);
    collected[name.slice(PREFIX.length)] = query[name];
  }
  if (collected === undefined) return query;
  const params = emptyParams();
  for (const name of Object.keys(query)) if (!name.startsWith(PREFIX)) params[name] = query[name];
  params.subset = collected;
  return params;
}

/** Merges the members of a POST body into the parameters of the URL (QP-9, its three forms in order). */
export function mergeBody(query: Params, body: Params): Params {
  const params = Object.assign(emptyParams(), query);
  const subset = Object.assign(emptyParams(), isObject(query.subset) ? query.subset : undefined);
  if (isObject(body.subset)) {
    for (const [name, value] of Object.entries(body)) if (name !== 'subset') params[name] = value;
    params.subset = Object.assign(subset, body.subset);
    return params;
  }
  let subsetRequest = false;
  for (const [name, value] of Object.entries(body)) {
    if (SUBSET_KEYS.has(name)) {
      subset[name] = value;
      subsetRequest = true;
    } else if (name !== 'subset' || value !== null) {
      // A `subset` that is no object is kept as it is: the type check refuses it. JSON's null is none.
      params[name] = value;
    }
  }
  if (subsetRequest && (body.subset ?? undefined) === undefined) params.subset = subset;
  return params;
}
