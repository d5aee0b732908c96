import fc from 'fast-check';

/** Text that the input functions of the number types take, crowded where their functions change what they do. */
export type NumberType = 'bool' | 'int2' | 'int4' | 'int8' | 'float4' | 'float8' | 'numeric';

const INTEGERS = ['0', '1', '-1', '2', '-2', '3', '-3', '7', '10', '-10', '15', '16', '31', '32', '63', '64', '100'];

const FLOATS = [
  ...['0', '-0', '1', '-1', '0.5', '-0.5', '1.5', '2', '2.5', '-2.5', '3', '10', '0.1', '1e-5', '0.0001', '123456789'],
  ...['NaN', 'Infinity', '-Infinity', '16777216', '16777217', '9007199254740992', '9007199254740993', '123456.5'],
  ...['32767.5', '-32768.5', '2147483647.5', '-2147483648.5', '9223372036854775807', '-9223372036854775808', '1e15'],
];

const NUMERICS = [
  ...['0', '0.0', '0.000', '1', '-1', '1.0', '1.10', '-1.5', '2', '2.5', '-2.5', '3', '7.000', '10', '0.1', '100'],
  ...['0.5', '-0.5', '0.45', '9999', '10000', '9999.5', '99999999', '0.0001', '0.00009999', '1e30', '1e-30', '12e100'],
  ...['NaN', 'Infinity', '-Infinity', '32767.5', '-32768.5', '2147483647.5', '9223372036854775807.4999'],
  ...['9223372036854775807.5', '-9223372036854775808.5', '9007199254740991', '9007199254740992', '1e308', '1e-400'],
  ...['1.7976931348623159e308', '3.4028235677973366e38', '1.401298464324817e-45', '7e-46', '4.9e-324', '2e-324'],
];

const edge = (power: bigint): fc.Arbitrary<string> =>
  fc
    .tuple(fc.boolean(), fc.bigInt({ min: -2n, max: 2n }))
    .map(([negative, by]) => String((negative ? -power : power) + by));

function integer(bits: number): fc.Arbitrary<string> {
  const max = (1n << BigInt(bits - 1)) - 1n;
  const any = fc
    .tuple(fc.bigInt({ min: -max - 1n, max }), fc.nat(bits - 1))
    .map(([value, shift]) => String(value >> BigInt(shift)));
  const edges = fc
    .oneof(edge(max), edge(1n << BigInt(Math.floor(bits / 2))), edge(2n ** 53n), edge(2n ** 31n))
    .filter((text) => BigInt(text) <= max && BigInt(text) >= -max - 1n);
  return fc.oneof({ weight: 2, arbitrary: fc.constantFrom(...INTEGERS) }, { weight: 3, arbitrary: any }, edges);
}

const digits = (max: number): fc.Arbitrary<string> =>
  fc.array(fc.constantFrom(...'0001234556789999'), { minLength: 1, maxLength: max }).map((all) => all.join(''));

const decimal = fc
  .tuple(fc.constantFrom('', '-'), digits(24), fc.option(digits(20)), fc.option(fc.integer({ min: -25, max: 25 })))
  .map(([sign, whole, fraction, exponent]) => {
    const point = fraction === null ? '' : `.${fraction}`;
    return `${sign}${whole}${point}${exponent === null || exponent % 2 === 0 ? '' : `e${exponent}`}`;
  });

const small = fc
  .tuple(fc.constantFrom('', '-'), digits(5), fc.option(digits(4)))
  .map(([sign, whole, fraction]) => `${sign}${whole}${fraction === null ? '' : `.${fraction}`}`);

const float8 = fc.double().map((value) => (Object.is(value, -0) ? '-0' : String(value)));
const float4 = fc.float().map((value) => (Object.is(value, -0) ? '-0' : String(value)));

/** Doubles with a short exact decimal, where rounding meets ties. */
const dyadic = fc
  .tuple(fc.integer({ min: -(2 ** 31), max: 2 ** 31 }), fc.integer({ min: -30, max: 40 }))
  .map(([value, exponent]) => String(value * 2 ** exponent));

const float4Dyadic = dyadic.map((text) => String(Math.fround(Number(text))));

const TEXT: Readonly<Record<NumberType, fc.Arbitrary<string>>> = {
  bool: fc.constantFrom('true', 'false'),
  int2: integer(16),
  int4: integer(32),
  int8: integer(64),
  float4: fc.oneof(fc.constantFrom(...FLOATS), float4, float4Dyadic, fc.oneof(small, integer(24))),
  float8: fc.oneof(fc.constantFrom(...FLOATS), float8, dyadic, fc.oneof(small, integer(54))),
  numeric: fc.oneof(fc.constantFrom(...NUMERICS), decimal, small),
};

/** Operands for the function with this signature: mostly any, sometimes such that it does not only raise errors. */
export function anyOperands(signature: string, types: readonly NumberType[]): fc.Arbitrary<readonly string[]> {
  const any = fc.tuple(...types.map((type) => TEXT[type]));
  const [first] = types;
  if (first === undefined) return any;
  if (signature === 'numeric(numeric,int4)') return fc.tuple(TEXT.numeric, modifier);
  if (/sh[lr]\(/.test(signature)) return fc.tuple(TEXT[first], fc.integer({ min: -2, max: 66 }).map(String));
  if (/^(?:round|trunc)\(numeric,int4\)/.test(signature)) {
    return fc.tuple(TEXT.numeric, fc.oneof(fc.integer({ min: -30, max: 40 }).map(String), TEXT.int4));
  }
  if (/pow/.test(signature)) {
    const exponent = fc.oneof(fc.integer({ min: -12, max: 20 }).map(String), fc.constantFrom('0.5', '2.00', '-0.5'));
    return fc.oneof(any, fc.tuple(fc.oneof(TEXT[first], small), exponent));
  }
  return any;
}

/** A type modifier of `numeric(p,s)`. */
const modifier = fc
  .integer({ min: 1, max: 30 })
  .chain((precision) => fc.nat({ max: precision }).map((scale) => String(((precision << 16) | scale) + 4)));

/** Text for the input function of a number type, right or wrong. */
export const anyNumberText: fc.Arbitrary<string> = fc.oneof(
  ...Object.values(TEXT),
  fc.tuple(fc.constantFrom(' ', '\t', '+', '-', ' -', '+ '), TEXT.int4).map((parts) => parts.join('')),
  fc.tuple(TEXT.float8, fc.constantFrom(' ', 'e', 'e5', '.', '.5', ' 1', 'x')).map((parts) => parts.join('')),
  fc.constantFrom(
    '',
    ' ',
    '-',
    '+',
    '.',
    'inf',
    '+inf',
    '-INF',
    '+Infinity',
    'iNf',
    'nan',
    'NAN',
    'infin',
    'e5',
    '.e1',
  ),
  fc.string({ unit: fc.constantFrom(...'0123456789+-.eE _x'), maxLength: 8 }),
);
