import { TYPES } from '../catalogue/catalogue.data.ts';
import { ClauseEvaluationError, InputError } from '../errors.ts';
import { arrayType } from './array-type.ts';
import { STRUCTURED_TYPES } from './structured-types.ts';
import { SCALAR_TYPES, type TypeModule } from './scalar-types.ts';
import type { Type, TypeCategory } from './type.ts';
import type { Value } from './value.ts';

const BY_NAME = new Map<string, Type>();
const BY_OID = new Map<number, Type>();
const ARRAYS = new Map<Type, Type>();
const ENUM_ARRAYS = new WeakMap<Type, Type>();

function register(type: Type): Type {
  BY_NAME.set(type.name, type);
  BY_OID.set(type.oid, type);
  return type;
}

const MODULES = new Map<string, TypeModule>(
  [...SCALAR_TYPES, ...STRUCTURED_TYPES].map((module) => [module.name, module]),
);

for (const line of TYPES.trim().split('\n')) {
  const [name, oid, category, preferred, arrayOid, input, output] = line.split(' ') as [string, ...string[]];
  const type = register({
    ...(MODULES.get(name) ?? opaqueType(name, 0)),
    sql: name,
    oid: Number(oid),
    category: category as TypeCategory,
    preferred: preferred === 'true',
    stableText: input !== 'i' || output !== 'i',
    element: undefined,
  });
  ARRAYS.set(type, register(arrayType(type, Number(arrayOid), `${name}[]`)));
}

/** A type of the catalogue by its name: `int4`, `text[]`. */
export function typeByName(name: string): Type | undefined {
  return BY_NAME.get(name);
}

/** As typeByName, for names that are in the code. */
export function type(name: string): Type {
  const found = BY_NAME.get(name);
  if (found === undefined) throw new Error(`no type ${name}`);
  return found;
}

export function typeByOid(oid: number): Type | undefined {
  return BY_OID.get(oid);
}

/** The array type over `element`; undefined when there is none. */
export function arrayOf(element: Type): Type | undefined {
  const known = ARRAYS.get(element) ?? ENUM_ARRAYS.get(element);
  if (known !== undefined || element.category !== 'E') return known;
  const made = arrayType(element, 0, `${element.name}[]`);
  ENUM_ARRAYS.set(element, made);
  return made;
}

/** An enum. Without labels literals are not checked, and the order is good for nothing but telling values apart. */
export function enumType(schema: string, name: string, labels: readonly string[] | undefined): Type {
  const ranks = new Map((labels ?? []).map((text, rank) => [text, rank]));
  const rankOf = (value: Value): number => {
    const rank = ranks.get(value as string);
    // A label that came after the shape: where it stands is not known here.
    if (rank === undefined) throw new ClauseEvaluationError('undecided', `a label of enum ${name} is not known`);
    return rank;
  };
  return {
    name: `enum ${name}`,
    sql: `${quote(schema)}.${quote(name)}`,
    oid: 0,
    category: 'E',
    preferred: false,
    stableText: true,
    identical: true,
    parse: (text) => {
      if (labels !== undefined && !ranks.has(text)) throw new InputError('not a label of the enum');
      return { value: text, text };
    },
    decode: asIs,
    format: (value) => value as string,
    compare: (a, b) => {
      if (a === b) return 0;
      return labels === undefined ? (a < b ? -1 : 1) : rankOf(a) - rankOf(b);
    },
    key: undefined,
    element: undefined,
  };
}

/** A type whose values are not understood: only NULL tests accept it. */
export function opaqueType(name: string, oid: number): Type {
  return {
    name,
    sql: name,
    oid,
    category: 'U',
    preferred: false,
    parse: () => {
      throw new InputError('values of this type are not supported');
    },
    decode: asIs,
    format: (value) => value as string,
    compare: undefined,
    key: undefined,
    element: undefined,
  };
}

function asIs(text: string): Value {
  return text;
}

function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
