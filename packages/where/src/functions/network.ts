import { ClauseEvaluationError } from '../errors.ts';
import { formatAddress } from '../types/inet-text.ts';
import { compareBits, hostMask, Inet, widthOf } from '../types/inet.ts';
import type { Implementations } from './implementation.ts';

/** Functions on inet and cidr. Addresses of different families have nothing to do with each other. */
export const NETWORK_FUNCTIONS: Implementations = {
  'network_sub(inet,inet)': (a: Inet, b: Inet) => a.bits > b.bits && shareNetwork(a, b),
  'network_subeq(inet,inet)': (a: Inet, b: Inet) => a.bits >= b.bits && shareNetwork(a, b),
  'network_sup(inet,inet)': (a: Inet, b: Inet) => a.bits < b.bits && shareNetwork(a, b),
  'network_supeq(inet,inet)': (a: Inet, b: Inet) => a.bits <= b.bits && shareNetwork(a, b),
  'network_overlap(inet,inet)': shareNetwork,

  'family(inet)': (value: Inet) => value.family,
  'masklen(inet)': (value: Inet) => value.bits,
  'host(inet)': (value: Inet) => formatAddress(value.family, value.address),
  // Unlike the output functions of both types, with a prefix length always.
  'text(inet)': (value: Inet) => `${formatAddress(value.family, value.address)}/${value.bits}`,
  'inet_same_family(inet,inet)': (a: Inet, b: Inet) => a.family === b.family,

  'cidr(inet)': networkOf,
  'network(inet)': networkOf,
  'netmask(inet)': (value: Inet) => hostAddress(value, fullMask(value) ^ hostMask(value)),
  'hostmask(inet)': (value: Inet) => hostAddress(value, hostMask(value)),
  'broadcast(inet)': (value: Inet) => new Inet(value.family, value.address | hostMask(value), value.bits),
  'set_masklen(inet,int4)': (value: Inet, bits: number) => withBits(value, bits),
  'set_masklen(cidr,int4)': (value: Inet, bits: number) => networkOf(withBits(value, bits)),
};

/** Whether the addresses agree as far as both prefixes reach. */
function shareNetwork(a: Inet, b: Inet): boolean {
  return a.family === b.family && compareBits(a, b, Math.min(a.bits, b.bits)) === 0;
}

function networkOf(value: Inet): Inet {
  return new Inet(value.family, value.address & (fullMask(value) ^ hostMask(value)), value.bits);
}

function fullMask(value: Inet): bigint {
  return (1n << BigInt(widthOf(value.family))) - 1n;
}

function hostAddress({ family }: Inet, address: bigint): Inet {
  return new Inet(family, address, widthOf(family));
}

/** -1 stands for the whole address. */
function withBits(value: Inet, bits: number): Inet {
  const width = widthOf(value.family);
  const wanted = bits === -1 ? width : bits;
  if (wanted < 0 || wanted > width) throw new ClauseEvaluationError('postgres', 'invalid mask length');
  return new Inet(value.family, value.address, wanted);
}
