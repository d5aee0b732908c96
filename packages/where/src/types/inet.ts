import { InputError } from '../errors.ts';
import { formatAddress, readCidr4, readInet4, readInet6 } from './inet-text.ts';
import type { TypeModule } from './scalar-types.ts';
import type { Value } from './value.ts';

/** An inet or cidr value. */
export class Inet {
  readonly family: 4 | 6;
  /** The address as an unsigned integer. */
  readonly address: bigint;
  /** Length of the network prefix in bits. */
  readonly bits: number;

  constructor(family: 4 | 6, address: bigint, bits: number) {
    this.family = family;
    this.address = address;
    this.bits = bits;
  }
}

/** Bits of an address. */
export function widthOf(family: 4 | 6): 32 | 128 {
  return family === 4 ? 32 : 128;
}

/** The order of the first `bits` bits of two addresses of one family. */
export function compareBits(a: Inet, b: Inet, bits: number): number {
  const shift = BigInt(widthOf(a.family) - bits);
  const x = a.address >> shift;
  const y = b.address >> shift;
  return x < y ? -1 : x > y ? 1 : 0;
}

/** The bits of an address behind its network prefix. */
export function hostMask(value: Inet): bigint {
  return (1n << BigInt(widthOf(value.family) - value.bits)) - 1n;
}

/** IPv4 first, then by network, shorter prefixes first, then by address. */
function compareInet(a: Value, b: Value): number {
  const x = a as Inet;
  const y = b as Inet;
  if (x.family !== y.family) return x.family - y.family;
  return compareBits(x, y, Math.min(x.bits, y.bits)) || x.bits - y.bits || compareBits(x, y, widthOf(x.family));
}

function parseInet(text: string): Inet {
  if (text.includes(':')) {
    const { address, bits } = readInet6(text);
    return new Inet(6, address, bits);
  }
  const { address, bits } = readInet4(text);
  return new Inet(4, address, bits);
}

function parseCidr(text: string): Inet {
  const six = text.includes(':');
  const { address, bits } = six ? readInet6(text) : readCidr4(text);
  const value = new Inet(six ? 6 : 4, address, bits);
  if ((value.address & hostMask(value)) !== 0n) throw new InputError('bits set to the right of the mask');
  return value;
}

function formatInet(value: Value): string {
  const { family, address, bits } = value as Inet;
  return `${formatAddress(family, address)}${bits === widthOf(family) ? '' : `/${bits}`}`;
}

function formatCidr(value: Value): string {
  const { family, address, bits } = value as Inet;
  return `${formatAddress(family, address)}/${bits}`;
}

export const INET_TYPES: readonly TypeModule[] = [
  {
    name: 'inet',
    parse: (text) => {
      const value = parseInet(text);
      return { value, text: formatInet(value) };
    },
    decode: parseInet,
    format: formatInet,
    compare: compareInet,
    key: undefined,
  },
  {
    name: 'cidr',
    parse: (text) => {
      const value = parseCidr(text);
      return { value, text: formatCidr(value) };
    },
    decode: parseCidr,
    format: formatCidr,
    compare: compareInet,
    // A cidr equals an inet, which is written without the full length of its address.
    key: (text) => text.replace(/^([^:]*)\/32$|\/128$/, '$1'),
  },
];
