import { readArrayText, writeArrayText, type ArrayText } from './array-text.ts';
import { ArrayValue, EMPTY_ARRAY, type ArrayShape } from './array-value.ts';
import type { Type } from './type.ts';
import type { Value } from './value.ts';

/** The array type over `element` (spec W 5.7). */
export function arrayType(element: Type, oid: number, name: string): Type {
  const { key } = element;
  return {
    name,
    sql: `${element.sql}[]`,
    oid,
    category: 'A',
    preferred: false,
    parse: (text) => {
      const raw = readArrayText(text);
      const literals = raw.elements.map((one) => (one === null ? null : element.parse(one)));
      const texts = literals.map((one) => (one === null ? null : one.text));
      return {
        value: withElements(
          raw,
          literals.map((one) => (one === null ? null : one.value)),
        ),
        text: writeArrayText({ ...raw, elements: texts }),
      };
    },
    decode: (text) => {
      const raw = readArrayText(text);
      return withElements(
        raw,
        raw.elements.map((one) => (one === null ? null : element.decode(one))),
      );
    },
    format: (value) => {
      const array = value as ArrayValue;
      return writeArrayText({
        ...array,
        elements: array.elements.map((one) => (one === null ? null : element.format(one))),
      });
    },
    compare: element.compare && compareArrays(element.compare),
    key:
      key &&
      ((text) => {
        const raw = readArrayText(text);
        return writeArrayText({
          ...raw,
          elements: raw.elements.map((one) => (one === null ? null : String(key(one)))),
        });
      }),
    stableText: true,
    element,
  };
}

function withElements(raw: ArrayText, elements: readonly (Value | null)[]): ArrayValue {
  return elements.length === 0 ? EMPTY_ARRAY : new ArrayValue(elements, raw.dims, raw.lowerBounds);
}

/** Elements one by one, NULL above all, then the number of elements, of dimensions, their lengths, the lower bounds. */
function compareArrays(compare: (a: Value, b: Value) => number): (a: Value, b: Value) => number {
  return (left, right) => {
    const a = left as ArrayValue;
    const b = right as ArrayValue;
    const shared = Math.min(a.elements.length, b.elements.length);
    for (let i = 0; i < shared; i++) {
      const x = a.elements[i] as Value | null;
      const y = b.elements[i] as Value | null;
      if (x === null || y === null) {
        if (x !== y) return x === null ? 1 : -1;
        continue;
      }
      const order = compare(x, y);
      if (order !== 0) return order;
    }
    return compareShapes(a, b);
  };
}

function compareShapes(a: ArrayShape<unknown>, b: ArrayShape<unknown>): number {
  return (
    a.elements.length - b.elements.length ||
    a.dims.length - b.dims.length ||
    compareIntegers(a.dims, b.dims) ||
    compareIntegers(a.lowerBounds, b.lowerBounds)
  );
}

function compareIntegers(a: readonly number[], b: readonly number[]): number {
  for (let i = 0; i < a.length; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return 0;
}
