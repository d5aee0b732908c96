import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  NumberDirectory,
  TupleDirectory,
  UuidDirectory,
  type Directory,
  type DirectoryOptions,
} from './hash-directory.ts';
import { StringDirectory } from './string-directory.ts';

interface Case<Key> {
  readonly open: (options: DirectoryOptions) => Directory<Key>;
  /** Few enough keys that they meet again. */
  readonly keys: readonly Key[];
  /** Tells keys apart as the directory must. */
  readonly nameOf: (key: Key) => string;
}

const NUMBERS = [
  0,
  -0,
  NaN,
  1,
  -1,
  1.5,
  Infinity,
  -Infinity,
  Number.MIN_VALUE,
  -Number.MIN_VALUE,
  2 ** 53,
  2 ** 32,
  0.1,
];
const LONG = 'long '.repeat(5000);
const STRINGS = [
  '',
  'a',
  'ab',
  'abc',
  'a\0',
  '\0',
  'é',
  'ÿ',
  'Ā',
  'aĀ',
  '😀',
  '\ud83d',
  '\ude00',
  '\uffff',
  'x'.repeat(252),
  'x'.repeat(253),
];

const CASES: Record<string, Case<string> | Case<number> | Case<ArrayLike<number>>> = {
  uuid: {
    open: (options) => new UuidDirectory(options),
    keys: Array.from({ length: 40 }, (_, i) => uuidOf(i)),
    nameOf: (key: string) => key,
  },
  number: {
    open: (options) => new NumberDirectory(options),
    keys: [...NUMBERS, ...Array.from({ length: 30 }, (_, i) => i * 1000)],
    nameOf: (key: number) => String(key),
  },
  'pair of ids': {
    open: (options) => new TupleDirectory(2, options),
    keys: Array.from({ length: 36 }, (_, i) => [i % 6, Math.floor(i / 6) - 1]),
    nameOf: (key: ArrayLike<number>) => Array.from(key).join(),
  },
  'triple of ids': {
    open: (options) => new TupleDirectory(3, options),
    keys: Array.from({ length: 27 }, (_, i) => [i % 3, Math.floor(i / 3) % 3, Math.floor(i / 9) + 2 ** 30]),
    nameOf: (key: ArrayLike<number>) => Array.from(key).join(),
  },
  'four ids': {
    open: (options) => new TupleDirectory(4, options),
    keys: Array.from({ length: 16 }, (_, i) => [i & 1, (i >> 1) & 1, (i >> 2) & 1, i >> 3]),
    nameOf: (key: ArrayLike<number>) => Array.from(key).join(),
  },
  string: {
    open: (options) => new StringDirectory(options),
    keys: [
      ...STRINGS,
      LONG,
      `${LONG}.`,
      'ä😀'.repeat(5460),
      'é'.repeat(16_382),
      ...Array.from({ length: 20 }, (_, i) => 'k'.repeat(i * 30)),
    ],
    nameOf: (key: string) => key,
  },
};

describe.each(Object.entries(CASES))('a directory of keys of the kind %s', (_, each) => {
  const { open, keys, nameOf } = each as Case<unknown>;

  test('gives every key one id at a time, whatever was released before and however many hashes collide', () => {
    const steps = fc.array(fc.tuple(fc.constantFrom('acquire', 'find', 'release'), fc.nat(keys.length - 1)), {
      maxLength: 300,
    });
    const options = fc.record({ seed: fc.maxSafeNat(), hashBits: fc.constantFrom(0, 1, 4, 32) });
    fc.assert(
      fc.property(options, steps, (chosen, taken) => {
        const directory = open(chosen);
        const model = new Map<string, number>();
        for (const [step, index] of taken) {
          const key = keys[index];
          const known = model.get(nameOf(key));
          if (step === 'find') expect(directory.find(key)).toBe(known ?? -1);
          else if (step === 'acquire') {
            const id = directory.acquire(key);
            if (known === undefined) expect([...model.values()]).not.toContain(id);
            else expect(id).toBe(known);
            expect(nameOf(directory.keyOf(id))).toBe(nameOf(key));
            model.set(nameOf(key), id);
          } else if (known !== undefined) {
            directory.release(known);
            model.delete(nameOf(key));
          }
          expect(directory.size).toBe(model.size);
        }
        for (const key of keys) expect(directory.find(key)).toBe(model.get(nameOf(key)) ?? -1);
      }),
      { numRuns: 150 },
    );
  });

  test('refuses to release an id that is not in use', () => {
    const directory = open({ seed: 1 });
    expect(() => directory.release(0)).toThrow('not in use');
    const id = directory.acquire(keys[1]);
    directory.acquire(keys[2]);
    directory.release(id);
    expect(() => directory.release(id)).toThrow('not in use');
    expect(() => directory.release(-1)).toThrow('not in use');
    expect(directory.find(keys[2])).toBeGreaterThanOrEqual(0);
  });
});

function uuidOf(i: number): string {
  const digits = (i * 0x9e3779b1).toString(16).padStart(12, '0').slice(-12);
  return `${i % 2 === 0 ? 'ffffffff' : '00000000'}-80a0-4ef8-bb6d-${digits}`;
}

test.each([
  ['nothing', ''],
  ['upper case', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'],
  ['no dashes', 'a0eebc999c0b4ef8bb6d6bb9bd380a110000'],
  ['a letter past f', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1g'],
  ['a character that is a digit in its last seven bits', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1\u00b1'],
])('a uuid directory finds no text that is not a uuid in output form: %s', (_, text) => {
  const directory = new UuidDirectory({ seed: 1 });
  directory.acquire('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11');
  expect(directory.find(text)).toBe(-1);
  expect(() => directory.acquire(text)).toThrow('not a uuid');
});

test('every NaN is the same number', () => {
  const directory = new NumberDirectory({ seed: 1 });
  const other = new Float64Array(new Uint32Array([1, 0xfff80000]).buffer)[0] as number;
  expect(directory.acquire(other)).toBe(directory.acquire(NaN));
});

test('a tuple has 2 to 4 parts', () => {
  expect(() => new TupleDirectory(1, { seed: 1 })).toThrow('1 parts');
  expect(() => new TupleDirectory(5, { seed: 1 })).toThrow('5 parts');
});

test('100,000 keys that come and go leave no more memory behind than the first time', () => {
  const directory = new StringDirectory({ seed: 7 });
  const fill = () => Array.from({ length: 100_000 }, (_, i) => directory.acquire(`key number ${i}`));
  const ids = fill();
  const filled = directory.bytes();
  for (const id of ids) directory.release(id);
  expect(directory.size).toBe(0);
  expect(directory.find('key number 5')).toBe(-1);
  const again = fill();
  expect(Math.max(...again.slice(0, 1000))).toBeLessThan(100_000);
  // The ids given back lie in a list of their own, four bytes each.
  expect(directory.bytes()).toBeLessThanOrEqual(filled * 1.05 + 4 * 110_000);
  for (const [i, id] of again.entries()) if (i % 1000 === 0) expect(directory.keyOf(id)).toBe(`key number ${i}`);
});
