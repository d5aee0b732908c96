import fc from 'fast-check';

/** Input text of types with an inner structure, most of it valid, drawn from few values so that they meet. */

const SCALARS: Readonly<Record<string, readonly string[]>> = {
  int4: ['0', '1', '2', '3', '4', '-1', ' 7 ', '+5', '2147483647', '-2147483648', '2147483646'],
  int8: ['0', '1', '2', '9007199254740992', '9007199254740993', '9223372036854775807', '-9223372036854775808'],
  numeric: ['0', '1', '1.0', '1.00', '2', '-0.5', '-0.50', '1e3', '1000', 'NaN', 'Infinity', '-inf', '0.000'],
  float8: ['0', '-0', '1', '1.5', 'NaN', 'Infinity', '-Infinity', '1e300', '0.1'],
  bool: ['t', 'f', 'true', 'no'],
  text: [
    '',
    'a',
    'b',
    'ab',
    'NULL',
    'null',
    ' ',
    'a b',
    '"',
    '\\',
    '{',
    '}',
    ',',
    'é',
    '😀',
    '\uffee',
    "it's",
    '\n',
    '\v',
  ],
  bpchar: ['a', 'a ', 'a  ', 'b', ''],
  uuid: [
    'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
    'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11',
    '00000000-0000-0000-0000-000000000000',
  ],
  date: [
    '2024-01-01',
    '2024-01-02',
    '2024-01-03',
    'infinity',
    '-infinity',
    '0044-03-15 BC',
    '5874897-12-31',
    '5874897-12-30',
  ],
  timestamp: [
    '2024-01-01 00:00:00',
    '2024-01-01 10:00:00.5',
    '2024-01-02',
    'infinity',
    '-infinity',
    '294276-12-31 23:59:59.999999',
  ],
  timestamptz: ['2024-01-01 00:00:00+00', '2024-01-01 01:00:00+01', '2024-01-01 10:00:00.5Z', 'infinity', '-infinity'],
};

export const ELEMENT_TYPES = Object.keys(SCALARS);

export function scalarText(type: string): fc.Arbitrary<string> {
  if (type === 'text') return fc.oneof(fc.constantFrom(...(SCALARS[type] as string[])), nastyText);
  const pool = SCALARS[type];
  if (pool === undefined) throw new Error(`no values of ${type}`);
  return fc.constantFrom(...pool);
}

const nastyText = fc.string({
  unit: fc.constantFrom(
    'a',
    'B',
    ' ',
    '"',
    '\\',
    '{',
    '}',
    ',',
    '[',
    ']',
    '(',
    ')',
    '\t',
    '\f',
    'é',
    '😀',
    'N',
    'u',
    'L',
  ),
  maxLength: 6,
});

interface Shape {
  readonly dims: readonly number[];
  readonly lowerBounds: readonly number[];
}

const anyShape: fc.Arbitrary<Shape> = fc
  .oneof(
    { weight: 6, arbitrary: fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 1 }) },
    { weight: 3, arbitrary: fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 3 }) },
    { weight: 1, arbitrary: fc.array(fc.constantFrom(1, 1, 2), { minLength: 4, maxLength: 7 }) },
  )
  .chain((dims) =>
    fc
      .oneof(
        { weight: 4, arbitrary: fc.constant(dims.map(() => 1)) },
        {
          weight: 2,
          arbitrary: fc.tuple(...dims.map(() => fc.constantFrom(-1, 0, 1, 2, 5, 2147483640, 2147483644, -2147483648))),
        },
      )
      .map((lowerBounds) => ({ dims, lowerBounds: [...lowerBounds] })),
  );

/** Text of an array of `type`; some with too many dimensions, which is an error. */
export function arrayText(type: string): fc.Arbitrary<string> {
  return anyShape.chain((shape) => {
    const count = shape.dims.length === 0 ? 0 : shape.dims.reduce((product, length) => product * length, 1);
    const element = fc.option(scalarText(type), { freq: 6 });
    return fc.array(element, { minLength: count, maxLength: count }).map((elements) => writeArray(shape, elements));
  });
}

function writeArray({ dims, lowerBounds }: Shape, elements: readonly (string | null)[]): string {
  if (dims.length === 0) return '{}';
  let items = elements.map((one) =>
    one === null ? 'NULL' : `"${one.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`,
  );
  for (const length of dims.toReversed()) {
    const groups: string[] = [];
    for (let at = 0; at < items.length; at += length) groups.push(`{${items.slice(at, at + length).join(',')}}`);
    items = groups;
  }
  if (lowerBounds.every((bound) => bound === 1)) return items[0] as string;
  return `${dims.map((length, i) => `[${lowerBounds[i]}:${(lowerBounds[i] as number) + length - 1}]`).join('')}=${items[0]}`;
}

/** Text of the characters that mean something in array literals. */
export const arrayNoise = fc.oneof(
  fc
    .array(
      fc.constantFrom(
        ...[
          '{',
          '{',
          '}',
          '}',
          '}',
          ',',
          ',',
          '"',
          '\\',
          ' ',
          '\t',
          'a',
          'b',
          'NULL',
          'null',
          '1',
          '[1:1]=',
          '[',
          ']',
          ':',
          '=',
          '+',
          '-',
          '\v',
          '""',
          '2',
          '{{',
          '}}',
          '},{',
        ],
      ),
      { maxLength: 12 },
    )
    .map((parts) => parts.join('')),
  fc
    .array(fc.constantFrom('1', ' ', 'a b', '"x"', 'NULL', ',', ',', '{', '}', '},{', '\\"', '\\', '""', ' nUll '), {
      maxLength: 8,
    })
    .map((parts) => `{${parts.join('')}}`),
);

const jsonString = fc.oneof(
  fc.constantFrom(
    'a',
    'b',
    'c',
    'aa',
    'B',
    '',
    'é',
    '😀',
    '\uffee',
    '1',
    '-1',
    '"',
    '\\',
    '\n',
    '\u0001',
    '\u007f',
    ' 1',
    'null',
  ),
  fc.string({ unit: fc.constantFrom('a', 'b', '"', '\\', '/', '\b', '\t', '\u001f', 'é', '😀'), maxLength: 4 }),
);
const jsonNumber = fc.constantFrom(
  ...[
    '0',
    '1',
    '1.0',
    '1.00',
    '2',
    '-1',
    '-0',
    '-0.0',
    '1e2',
    '1E+2',
    '100',
    '0.5',
    '5e-1',
    '0.50',
    '12345678901234567890',
  ],
  ...[
    '9007199254740993',
    '0.1234567890123456789',
    '1e-7',
    '1.5',
    '2.5',
    '-2.5',
    '2147483648',
    '32768',
    '1e40',
    '1e400',
  ],
);

const { node: jsonNode } = fc.letrec<{ node: string; array: string; object: string }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.oneof(
      fc.constantFrom('null', 'true', 'false'),
      jsonNumber,
      jsonString.map((text) => JSON.stringify(text)),
    ),
    tie('array'),
    tie('object'),
  ),
  array: fc.array(tie('node'), { maxLength: 4 }).map((elements) => `[${elements.join(',')}]`),
  object: fc
    .array(fc.tuple(jsonString, tie('node')), { maxLength: 4 })
    .map((members) => `{${members.map(([key, value]) => `${JSON.stringify(key)} : ${value}`).join(' ,')}}`),
}));

/** Text of a jsonb value, repeated keys and several spellings of a number included. */
export const jsonText: fc.Arbitrary<string> = jsonNode;
export const jsonKey: fc.Arbitrary<string> = jsonString;

/** Text of the characters that mean something in JSON. */
export const jsonNoise = fc
  .array(
    fc.constantFrom(
      ...[
        '{',
        '}',
        '[',
        ']',
        ',',
        ':',
        '"',
        '\\',
        '\\u00',
        '41',
        '\\ud83d',
        '\\ude00',
        '\\u0000',
        '\\n',
        '1',
        '0',
        '-',
        '.',
        'e',
        '+',
        'true',
        'null',
        'fals',
        ' ',
        '\t',
        '\v',
        '"a"',
        '"a":',
        '1.5',
        '[]',
        '{}',
        '\n',
        '"\\u00e9"',
        '\\/',
        '\\x',
      ],
    ),
    { maxLength: 7 },
  )
  .map((parts) => parts.join(''));

/** Text of a range over `subtype`, lower bounds above the upper one included. */
export function rangeText(subtype: string): fc.Arbitrary<string> {
  const bound = fc.option(scalarText(subtype), { freq: 6, nil: '' }).map((text) => (text === '' ? '' : `"${text}"`));
  const brackets = fc.tuple(fc.constantFrom('[', '('), bound, bound, fc.constantFrom(']', ')'));
  return fc.oneof(
    { weight: 20, arbitrary: brackets.map(([open, lower, upper, close]) => `${open}${lower},${upper}${close}`) },
    { weight: 1, arbitrary: fc.constantFrom('empty', ' EMPTY ', '[1,2', '') },
  );
}

/** Text of the characters that mean something in range literals. */
export const rangeNoise = fc
  .array(
    fc.constantFrom(
      ...['[', '(', ']', ')', ',', ',', '1', '2', '"', '""', '\\', ' ', 'empty', '[1,', '2)', ' 3', '\v', 'x'],
    ),
    {
      maxLength: 8,
    },
  )
  .map((parts) => parts.join(''));

const octet = fc.constantFrom('0', '1', '10', '127', '128', '192', '224', '240', '255', '256', '00', '010', '');
const group = fc.constantFrom(
  ...[
    '0',
    '0',
    '0',
    '1',
    'ffff',
    'FFFF',
    'abcd',
    '00a',
    '12345',
    '1.2.3.4',
    '',
    '1.2',
    '1..2.',
    '1.2.3.4.5',
    '1.02',
    '',
    '256.1',
  ],
);

/** Text that may be an address. */
export const inetText = fc.oneof(
  fc.constantFrom(
    '10.0.0.1',
    '10.0.0.0/8',
    '10.0.0.0/16',
    '10.1.0.0/16',
    '::1',
    '::/0',
    '2001:db8::/32',
    '2001:db8::1',
    '0.0.0.0/0',
  ),
  fc.constantFrom(
    '::1.2.3.4',
    '::ffff:1.2.3.4/100',
    '::ffff:0:0',
    '1::',
    '1:0:0:2::',
    '1.2.3.4.',
    '10.1.2.3/24',
    '255.255.255.255',
  ),
  fc
    .tuple(
      fc.array(octet, { minLength: 1, maxLength: 5 }),
      fc.constantFrom('', '', '/0', '/8', '/16', '/24', '/31', '/32', '/33', '/', '/08'),
    )
    .map(([octets, bits]) => octets.join('.') + bits),
  fc
    .tuple(
      fc.array(group, { minLength: 2, maxLength: 8 }),
      fc.constantFrom('', '', '/0', '/64', '/96', '/127', '/128', '/129', '/064'),
    )
    .map(([groups, bits]) => groups.join(':') + bits),
  fc
    .tuple(
      fc.array(fc.constantFrom('0', '0', '0', '1', 'ffff', 'a'), { minLength: 8, maxLength: 8 }),
      fc.constantFrom('', '/0', '/100'),
    )
    .map(([groups, bits]) => groups.join(':') + bits),
);
