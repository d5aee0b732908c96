import type { Decimal } from './decimal.ts';

/** A node of a jsonb value: null, a boolean, a string, a finite numeric, an array or an object. */
export type JsonNode = null | boolean | string | number | Decimal | JsonArray | JsonObject;

export type JsonArray = readonly JsonNode[];

/** Members in the order of jsonb: shorter keys first, keys of one length by their bytes. */
export type JsonObject = ReadonlyMap<string, JsonNode>;

/** A jsonb value. */
export class Json {
  readonly root: JsonNode;

  constructor(root: JsonNode) {
    this.root = root;
  }
}

/** As `jsonb_typeof` names it. */
export type JsonKind = 'null' | 'string' | 'number' | 'boolean' | 'array' | 'object';

export function kindOf(node: JsonNode): JsonKind {
  if (node === null) return 'null';
  switch (typeof node) {
    case 'string':
      return 'string';
    case 'boolean':
      return 'boolean';
    case 'number':
      return 'number';
    default:
      if (isArray(node)) return 'array';
      return isObject(node) ? 'object' : 'number';
  }
}

export function isArray(node: JsonNode): node is JsonArray {
  return Array.isArray(node);
}

export function isObject(node: JsonNode): node is JsonObject {
  return node instanceof Map;
}

export function isScalar(node: JsonNode): boolean {
  return !isArray(node) && !isObject(node);
}
