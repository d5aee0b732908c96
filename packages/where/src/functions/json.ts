import { ClauseEvaluationError } from '../errors.ts';
import type { ArrayValue } from '../types/array-value.ts';
import type { Numeric } from '../types/decimal.ts';
import { createObject, formatJson } from '../types/json-text.ts';
import { isArray, isObject, isScalar, Json, kindOf, type JsonArray, type JsonNode } from '../types/json-value.ts';
import { equalJson } from '../types/json.ts';
import type { Value } from '../types/value.ts';
import type { Fn, Implementations } from './implementation.ts';
import { extractJson, parseIndex, type JsonStep } from './json-extract.ts';
import { NUMBER_CASTS } from './number-casts.ts';

/**
 * Functions on json and jsonb. In several places Postgres shows that it stores a scalar as an array of one element:
 * `'"a"'::jsonb -> 0` and `'"a"'::jsonb ? 'a'` find it.
 */
export const JSON_FUNCTIONS: Implementations = {
  'jsonb_object_field(jsonb,text)': ({ root }: Json, key: string) => wrap(memberOf(root, key)),
  'jsonb_object_field_text(jsonb,text)': ({ root }: Json, key: string) => textOf(memberOf(root, key)),
  'jsonb_array_element(jsonb,int4)': ({ root }: Json, index: number) => wrap(elementOf(root, index)),
  'jsonb_array_element_text(jsonb,int4)': ({ root }: Json, index: number) => textOf(elementOf(root, index)),
  'jsonb_extract_path(jsonb,text[])': ({ root }: Json, path: ArrayValue) => wrap(follow(root, path)),
  'jsonb_extract_path_text(jsonb,text[])': ({ root }: Json, path: ArrayValue) => textOf(follow(root, path)),

  'json_object_field(json,text)': (json: string, name: string) => extractJson(json, [{ name }], 'json'),
  'json_object_field_text(json,text)': (json: string, name: string) => extractJson(json, [{ name }], 'text'),
  'json_array_element(json,int4)': (json: string, index: number) => extractJson(json, [{ index }], 'json'),
  'json_array_element_text(json,int4)': (json: string, index: number) => extractJson(json, [{ index }], 'text'),
  'json_extract_path(json,text[])': (json: string, path: ArrayValue) => extractPath(json, path, 'json'),
  'json_extract_path_text(json,text[])': (json: string, path: ArrayValue) => extractPath(json, path, 'text'),

  'jsonb_contains(jsonb,jsonb)': (a: Json, b: Json) => containsRoot(a.root, b.root),
  'jsonb_contained(jsonb,jsonb)': (a: Json, b: Json) => containsRoot(b.root, a.root),
  'jsonb_exists(jsonb,text)': ({ root }: Json, key: string) => exists(root, key),
  'jsonb_exists_any(jsonb,text[])': ({ root }: Json, keys: ArrayValue) =>
    keys.elements.some((key) => key !== null && exists(root, key as string)),
  'jsonb_exists_all(jsonb,text[])': ({ root }: Json, keys: ArrayValue) =>
    keys.elements.every((key) => key === null || exists(root, key as string)),

  'jsonb_typeof(jsonb)': ({ root }: Json) => kindOf(root),
  'jsonb_array_length(jsonb)': ({ root }: Json) => {
    if (!isArray(root)) throw failure('cannot get array length of a jsonb that is not an array');
    return root.length;
  },

  'jsonb_concat(jsonb,jsonb)': (a: Json, b: Json) => new Json(concatenate(a.root, b.root)),
  'jsonb_delete(jsonb,text)': ({ root }: Json, key: string) => new Json(without(root, [key])),
  'jsonb_delete(jsonb,text[])': ({ root }: Json, keys: ArrayValue) => {
    if (keys.dims.length > 1) throw failure('wrong number of array subscripts');
    return new Json(without(root, keys.elements));
  },
  'jsonb_delete(jsonb,int4)': ({ root }: Json, index: number) => new Json(withoutElement(root, index)),

  'bool(jsonb)': ({ root }: Json) => {
    if (typeof root !== 'boolean') throw castFailure(root, 'bool');
    return root;
  },
  'numeric(jsonb)': ({ root }: Json) => numberOf(root, 'numeric'),
  'int2(jsonb)': throughNumeric('int2'),
  'int4(jsonb)': throughNumeric('int4'),
  'int8(jsonb)': throughNumeric('int8'),
  'float4(jsonb)': throughNumeric('float4'),
  'float8(jsonb)': throughNumeric('float8'),
};

function wrap(node: JsonNode | undefined): Json | null {
  return node === undefined ? null : new Json(node);
}

/** As the operators `->>` and `#>>` show a node: strings as they are, JSON null as SQL NULL. */
function textOf(node: JsonNode | undefined): string | null {
  if (node === undefined || node === null) return null;
  return typeof node === 'string' ? node : formatJson(node);
}

function memberOf(node: JsonNode, key: string): JsonNode | undefined {
  return isObject(node) ? node.get(key) : undefined;
}

/** Negative indexes count from the end. */
function elementOf(root: JsonNode, index: number): JsonNode | undefined {
  const elements = elementsOf(root);
  return elements?.at(index);
}

function elementsOf(root: JsonNode): readonly JsonNode[] | undefined {
  if (isArray(root)) return root;
  return isObject(root) ? undefined : [root];
}

function follow(root: JsonNode, path: ArrayValue): JsonNode | undefined {
  if (path.elements.includes(null)) return undefined;
  let node: JsonNode | undefined = root;
  for (const step of path.elements as readonly string[]) {
    if (isObject(node)) {
      node = node.get(step);
    } else if (isArray(node)) {
      const index = parseIndex(step);
      node = index === undefined ? undefined : node.at(index);
    } else {
      return undefined;
    }
    if (node === undefined) return undefined;
  }
  return node;
}

function extractPath(json: string, path: ArrayValue, form: 'json' | 'text'): string | null {
  if (path.elements.includes(null)) return null;
  const steps = (path.elements as readonly string[]).map((name): JsonStep => ({ name, index: parseIndex(name) }));
  return extractJson(json, steps, form);
}

function exists(root: JsonNode, key: string): boolean {
  return isObject(root) ? root.has(key) : (elementsOf(root) as readonly JsonNode[]).includes(key);
}

function containsRoot(whole: JsonNode, part: JsonNode): boolean {
  if (isScalar(part)) return !isObject(whole) && containsScalar(elementsOf(whole) as readonly JsonNode[], part);
  return contains(whole, part);
}

/** Whether the container `part` is in `whole`, member by member and element by element, at any depth. */
function contains(whole: JsonNode, part: JsonNode): boolean {
  if (isObject(part)) {
    if (!isObject(whole) || whole.size < part.size) return false;
    for (const [key, wanted] of part) {
      const found = whole.get(key);
      if (found === undefined) return false;
      if (isScalar(wanted) ? !isScalar(found) || !equalJson(found, wanted) : !contains(found, wanted)) return false;
    }
    return true;
  }
  if (!isArray(part) || !isArray(whole)) return false;
  return part.every((wanted) =>
    isScalar(wanted) ? containsScalar(whole, wanted) : whole.some((one) => contains(one, wanted)),
  );
}

function containsScalar(whole: readonly JsonNode[], wanted: JsonNode): boolean {
  return whole.some((one) => isScalar(one) && equalJson(one, wanted));
}

/** Two objects make one, of members with the same key the later one; anything else makes an array. */
function concatenate(a: JsonNode, b: JsonNode): JsonNode {
  if (isObject(a) && isObject(b)) return createObject(new Map([...a, ...b]));
  return [a, b].flatMap((node): readonly JsonNode[] => (isArray(node) ? node : [node]));
}

/** Without the members of these keys, or without the strings among the elements. */
function without(root: JsonNode, keys: readonly (Value | null)[]): JsonNode {
  if (isScalar(root)) throw failure('cannot delete from scalar');
  const unwanted = new Set<Value | null>(keys.filter((key) => key !== null));
  if (isObject(root)) return new Map([...root].filter(([key]) => !unwanted.has(key)));
  return (root as JsonArray).filter((one) => typeof one !== 'string' || !unwanted.has(one));
}

function withoutElement(root: JsonNode, index: number): JsonNode {
  if (!isArray(root)) throw failure('cannot delete an element of a jsonb that is not an array');
  const place = index < 0 ? root.length + index : index;
  return root.filter((_, i) => i !== place);
}

function numberOf(root: JsonNode, target: string): Numeric {
  if (kindOf(root) !== 'number') throw castFailure(root, target);
  return root as Numeric;
}

/** Cast of a jsonb number: that of the numeric. */
function throughNumeric(target: 'int2' | 'int4' | 'int8' | 'float4' | 'float8'): Fn {
  const convert = NUMBER_CASTS[`${target}(numeric)`] as (value: Value) => Value;
  return ({ root }: Json) => convert(numberOf(root, target));
}

function castFailure(root: JsonNode, target: string): ClauseEvaluationError {
  // An error before Postgres 18, NULL since.
  const reason = root === null ? 'undecided' : 'postgres';
  return new ClauseEvaluationError(reason, `cannot cast jsonb ${kindOf(root)} to ${target}`);
}

function failure(message: string): ClauseEvaluationError {
  return new ClauseEvaluationError('postgres', message);
}
