import type { Chance } from '../support/chance.ts';

/** Random input text of the types of the oracle. */

const digits = (chance: Chance, count: number): string =>
  Array.from({ length: count }, () => String(chance.int(10))).join('');

/** A whole number: mostly small, now and then anywhere in the range. */
export function whole(chance: Chance, bits: number): string {
  if (chance.chance(0.7)) return String(chance.int(41) - 20);
  const range = 2n ** BigInt(1 + chance.int(bits - 1));
  const value = (BigInt(chance.int(2 ** 30)) * 2n ** 34n + BigInt(chance.int(2 ** 30)) * 16n) % range;
  return String(chance.chance(0.5) ? -value : value);
}

export function decimal(chance: Chance): string {
  const sign = chance.chance(0.3) ? '-' : '';
  const scale = chance.chance(0.3) ? 0 : 1 + chance.int(chance.chance(0.8) ? 3 : 25);
  const before = digits(chance, 1 + chance.int(chance.chance(0.8) ? 3 : 30)).replace(/^0+(?=\d)/, '');
  return `${sign}${before}${scale > 0 ? `.${digits(chance, scale)}` : ''}`;
}

export function float(chance: Chance, exponents: number): string {
  const mantissa = `${chance.int(10)}.${digits(chance, 1 + chance.int(6))}`;
  const sign = chance.chance(0.3) ? '-' : '';
  return chance.chance(0.6) ? `${sign}${mantissa}` : `${sign}${mantissa}e${chance.int(2 * exponents) - exponents}`;
}

const LETTERS = 'a b c A B C i I x X é É ß ẞ σ ς Σ İ ı 😀 ʼn ǆ ῃ ᾳ 日 1 2 0 % _ \\ . , - \u0301'
  .split(' ')
  .concat(' ', '\n', "'");

export function word(chance: Chance, maxLength: number): string {
  return Array.from({ length: chance.int(maxLength + 1) }, () => chance.pick(LETTERS)).join('');
}

const two = (n: number): string => String(n).padStart(2, '0');

export function date(chance: Chance): string {
  const year = chance.chance(0.8) ? 1999 + chance.int(30) : 1 + chance.int(9999);
  return `${String(year).padStart(4, '0')}-${two(1 + chance.int(12))}-${two(1 + chance.int(28))}`;
}

export function time(chance: Chance): string {
  const fraction = chance.chance(0.4) ? `.${digits(chance, 1 + chance.int(6))}` : '';
  return `${two(chance.int(24))}:${two(chance.int(60))}:${two(chance.int(60))}${fraction}`;
}

export function interval(chance: Chance): string {
  const part = (unit: string, range: number): string =>
    chance.chance(0.5) ? `${chance.int(2 * range) - range}${unit}` : '';
  const day = `${part('Y', 3)}${part('M', 30)}${part('D', 70)}`;
  const seconds = chance.chance(0.5) ? `${chance.int(120) - 60}.${digits(chance, 1 + chance.int(6))}S` : '';
  const clock = `${part('H', 60)}${part('M', 90)}${seconds}`;
  if (day === '' && clock === '') return 'PT0S';
  return `P${day}${clock === '' ? '' : `T${clock}`}`;
}

export const hex = (chance: Chance, count: number): string =>
  Array.from({ length: count }, () => chance.int(16).toString(16)).join('');

export function json(chance: Chance, depth = 2): string {
  const scalar = ['1', '1.0', '1.00', '-2', '0.5', '1e2', '"a"', '"b"', '""', '"1"', '"é"', 'true', 'false', 'null'];
  if (depth === 0 || chance.chance(0.4)) return chance.pick(scalar);
  const parts = Array.from({ length: chance.int(4) }, () => json(chance, depth - 1));
  if (chance.chance(0.5)) return `[${parts.join(', ')}]`;
  return `{${parts.map((part) => `"${chance.pick(['a', 'b', 'c', 'ab', '1'])}": ${part}`).join(', ')}}`;
}

export function address(chance: Chance): string {
  if (chance.chance(0.3)) {
    const bits = chance.pick(['', '', '/64', '/128', '/10', '/0']);
    return `${chance.pick(['2001:db8::', 'fe80::', '::ffff:1.2.', '::'])}${chance.int(4)}${bits}`.replace(
      /1\.2\.(\d)/,
      '1.2.3.$1',
    );
  }
  return `${chance.pick([10, 192, 127])}.${chance.int(3)}.${chance.int(2)}.${chance.int(256)}${chance.pick(['', '', '/8', '/24', '/32', '/0', '/17'])}`;
}

export function network(chance: Chance): string {
  return chance.pick([
    `10.${chance.int(4)}.0.0/16`,
    `10.0.${chance.int(4)}.0/24`,
    `192.168.1.${chance.int(9)}`,
    `2001:db8:${chance.int(3)}::/48`,
    '0.0.0.0/0',
    '::/0',
    '10.0.0.0/8',
  ]);
}
