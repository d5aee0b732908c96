import { compareNumeric, numericKeyOf, type Numeric } from './decimal.ts';
import { decodeJson, formatJson, parseJson } from './json-text.ts';
import { isArray, isScalar, Json, kindOf, type JsonArray, type JsonNode, type JsonObject } from './json-value.ts';
import type { TypeModule } from './scalar-types.ts';
import { compareCodePoints } from './text.ts';

/**
 * jsonb. Its order compares strings by the collation of the database: `compare` is exact as equality always, as order
 * only where that is by code points.
 */
export const JSONB: TypeModule = {
  name: 'jsonb',
  parse: (text) => {
    const root = parseJson(text);
    return { value: new Json(root), text: formatJson(root) };
  },
  decode: (text) => new Json(decodeJson(text)),
  format: (value) => formatJson((value as Json).root),
  compare: (a, b) => compareJson((a as Json).root, (b as Json).root),
  // Only numbers with a fraction have several texts.
  key: (text) => (text.includes('.') ? formatJson(decodeJson(text), numericKeyOf) : text),
};

/** Equality of jsonb nodes. */
export function equalJson(a: JsonNode, b: JsonNode): boolean {
  return compareNodes(a, b) === 0;
}

function compareJson(a: JsonNode, b: JsonNode): number {
  // Postgres stores a scalar as an array of one element, which shows in the order: an empty array comes before it.
  if (isScalar(a) && isArray(b)) return b.length === 0 ? 1 : -1;
  if (isScalar(b) && isArray(a)) return a.length === 0 ? -1 : 1;
  return compareNodes(a, b);
}

const RANK = { null: 0, string: 1, number: 2, boolean: 3, array: 4, object: 5 } as const;

function compareNodes(a: JsonNode, b: JsonNode): number {
  const kind = kindOf(a);
  const difference = RANK[kind] - RANK[kindOf(b)];
  if (difference !== 0) return difference;
  switch (kind) {
    case 'null':
      return 0;
    case 'string':
      return compareCodePoints(a as string, b as string);
    case 'number':
      return compareNumeric(a as Numeric, b as Numeric);
    case 'boolean':
      return Number(a) - Number(b);
    case 'array':
      return compareElements(a as JsonArray, b as JsonArray);
    case 'object':
      return compareMembers(a as JsonObject, b as JsonObject);
  }
}

function compareElements(a: JsonArray, b: JsonArray): number {
  if (a.length !== b.length) return a.length - b.length;
  for (let i = 0; i < a.length; i++) {
    const order = compareNodes(a[i] as JsonNode, b[i] as JsonNode);
    if (order !== 0) return order;
  }
  return 0;
}

function compareMembers(a: JsonObject, b: JsonObject): number {
  if (a.size !== b.size) return a.size - b.size;
  const others = b.entries();
  for (const [key, value] of a) {
    const [otherKey, other] = others.next().value as [string, JsonNode];
    const order = compareCodePoints(key, otherKey) || compareNodes(value, other);
    if (order !== 0) return order;
  }
  return 0;
}
