import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseRowKey, rowKey } from './row-key.ts';

/** What has a meaning in a key comes often. */
const text = fc.oneof(
  fc.array(fc.constantFrom('/', '"', '_', '.', 'a', '\\'), { maxLength: 6 }).map((parts) => parts.join('')),
  fc.string(),
);

test('the values of a key are read from it', () => {
  fc.assert(
    fc.property(text, text, fc.array(fc.option(text), { maxLength: 4 }), (schema, table, values) => {
      expect(parseRowKey(schema, table, rowKey(schema, table, values))).toEqual(values);
    }),
  );
});

test('a text that is no key of the table has none', () => {
  expect(parseRowKey('s', 't', rowKey('s', 'u', ['1']))).toBeUndefined();
  for (const rest of ['/', '/1', '/"', '/"a', '/"a"x', '_', '/"a"/']) {
    expect(parseRowKey('s', 't', `"s"."t"${rest}`), rest).toBeUndefined();
  }
});
