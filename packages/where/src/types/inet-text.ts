import { InputError } from '../errors.ts';
import { isHex } from './text.ts';
import { isDigit } from './value.ts';

/** An address as an unsigned integer, and the length of its network prefix. */
interface AddressText {
  readonly address: bigint;
  readonly bits: number;
}

/**
 * IPv4 as inet reads it: four octets, or fewer with a prefix length that does not reach past them. Like the C code, it
 * takes a point at the end. Throws InputError for everything else.
 */
export function readInet4(text: string): AddressText {
  const octets: number[] = [];
  let at = 0;
  while (isDigit(text.charCodeAt(at))) {
    const octet = readOctet(text, at);
    if (octets.length === 4) throw invalid();
    octets.push(octet.value);
    at = octet.end;
    if (text[at] !== '.') break;
    at++;
  }
  const bits = readBits4(text, at, octets) ?? (octets.length === 4 ? 32 : undefined);
  if (bits === undefined || bits >> 3 > octets.length) throw invalid();
  return { address: joinOctets(octets), bits };
}

/** IPv4 as cidr reads it: one to four octets; without a prefix length it is that of the historical class. */
export function readCidr4(text: string): AddressText {
  if (/^0x/i.test(text)) throw new InputError('hexadecimal addresses are not supported', true);
  const octets: number[] = [];
  let at = 0;
  for (;;) {
    const octet = readOctet(text, at);
    if (octets.length === 4) throw invalid();
    octets.push(octet.value);
    at = octet.end;
    if (text[at] !== '.') break;
    at++;
  }
  return { address: joinOctets(octets), bits: readBits4(text, at, octets) ?? classBits(octets) };
}

/**
 * IPv6, with `::` for zeros, the last 32 bits in IPv4 notation if need be, and a prefix length. Like the C code, it takes
 * a colon in front of the slash and IPv4 notation with octets missing at the end.
 */
export function readInet6(text: string): AddressText {
  const groups: number[] = [];
  let gap: number | undefined;
  let bits = 128;
  let at = text.startsWith('::') ? 1 : 0;
  if (at === 0 && text.startsWith(':')) throw invalid();
  let start = at;
  while (at < text.length) {
    const char = text[at] as string;
    if (isHex(char.charCodeAt(0))) {
      at++;
      continue;
    }
    if (char === '.') {
      const last = readLastOctets(text.slice(start));
      groups.push(last.high, last.low);
      bits = last.bits;
      start = at = text.length;
      break;
    }
    if (at > start) groups.push(readGroup(text.slice(start, at)));
    else if (char === ':' && gap !== undefined) throw invalid();
    else if (char === ':') gap = groups.length;
    start = at + 1;
    if (char === '/') {
      bits = readStrict(text.slice(start), 128);
      start = at = text.length;
      break;
    }
    // A colon at the very end has to be the second of a pair.
    if (char !== ':' || (start === text.length && gap !== groups.length)) throw invalid();
    at++;
  }
  if (at > start) groups.push(readGroup(text.slice(start, at)));
  if (gap !== undefined && groups.length < 8) {
    groups.splice(gap, 0, ...new Array<number>(8 - groups.length).fill(0));
  } else if (gap !== undefined) {
    throw invalid();
  }
  if (groups.length !== 8) throw invalid();
  return { address: groups.reduce((address, group) => (address << 16n) | BigInt(group), 0n), bits };
}

/** The address without a prefix length, as inet and cidr write it. */
export function formatAddress(family: 4 | 6, address: bigint): string {
  if (family === 4) return formatOctets(Number(address));
  const groups: number[] = [];
  for (let shift = 112n; shift >= 0n; shift -= 16n) groups.push(Number((address >> shift) & 0xffffn));
  const { start, length } = longestZeros(groups);
  if (start === 0 && (length === 6 || (length === 5 && groups[5] === 0xffff))) {
    return `${length === 6 ? '::' : '::ffff:'}${formatOctets(Number(address & 0xffffffffn))}`;
  }
  const hex = groups.map((group) => group.toString(16));
  if (length < 2) return hex.join(':');
  return `${hex.slice(0, start).join(':')}::${hex.slice(start + length).join(':')}`;
}

/** The first of the longest runs of zero groups. */
function longestZeros(groups: readonly number[]): { readonly start: number; readonly length: number } {
  let best = { start: 0, length: 0 };
  let run = 0;
  for (const [i, group] of groups.entries()) {
    run = group === 0 ? run + 1 : 0;
    if (run > best.length) best = { start: i - run + 1, length: run };
  }
  return best;
}

function formatOctets(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');
}

function readOctet(text: string, start: number): { readonly value: number; readonly end: number } {
  let value = 0;
  let end = start;
  for (; isDigit(text.charCodeAt(end)); end++) {
    value = value * 10 + Number(text[end]);
    if (value > 255) throw invalid();
  }
  if (end === start) throw invalid();
  return { value, end };
}

/** Prefix length behind `at`; undefined when the text ends there. */
function readBits4(text: string, at: number, octets: readonly number[]): number | undefined {
  if (at === text.length) return undefined;
  const digits = text.slice(at + 1);
  if (text[at] !== '/' || octets.length === 0 || !/^[0-9]+$/.test(digits)) throw invalid();
  const bits = Number(digits);
  // Postgres lets the number overflow, and may then find it small enough.
  if (bits > 32) throw new InputError('invalid syntax', bits > 2147483647);
  return bits;
}

function classBits(octets: readonly number[]): number {
  const [first] = octets as [number];
  const bits = first >= 240 ? 32 : first >= 224 ? 8 : first >= 192 ? 24 : first >= 128 ? 16 : 8;
  const widened = Math.max(bits, octets.length * 8);
  return widened === 8 && first === 224 ? 4 : widened;
}

/** Digits without leading zeros. */
function readStrict(text: string, max: number): number {
  if (!/^(?:0|[1-9][0-9]{0,2})$/.test(text)) throw invalid();
  const value = Number(text);
  if (value > max) throw invalid();
  return value;
}

function readGroup(hex: string): number {
  if (hex.length > 4) throw invalid();
  return Number.parseInt(hex, 16);
}

/** IPv4 notation at the end of an IPv6 address. What is missing is zero, also between two points. */
function readLastOctets(text: string): { readonly high: number; readonly low: number; readonly bits: number } {
  const slash = text.indexOf('/');
  const bits = slash === -1 ? 128 : readStrict(text.slice(slash + 1), 128);
  const parts = (slash === -1 ? text : text.slice(0, slash)).split('.', 5);
  if (parts.length > 4 || (slash === -1 && parts.at(-1) === '')) throw invalid();
  const [a = 0, b = 0, c = 0, d = 0] = parts.map((part) => (part === '' ? 0 : readStrict(part, 255)));
  return { high: a * 256 + b, low: c * 256 + d, bits };
}

function joinOctets(octets: readonly number[]): bigint {
  return [0, 1, 2, 3].reduce((address, i) => (address << 8n) | BigInt(octets[i] ?? 0), 0n);
}

function invalid(): InputError {
  return new InputError('invalid syntax');
}
