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
