import type { Lsn } from '@shapecast/log';

/**
 * Big-endian reads without the argument checks of `Buffer`, which cost more than the read itself. Past the end they read
 * zeros; the decoder compares its place with the length after each tuple.
 */
export function u16(bytes: Buffer, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
}

export function u32(bytes: Buffer, at: number): number {
  return (
    (((bytes[at] as number) << 24) |
      ((bytes[at + 1] as number) << 16) |
      ((bytes[at + 2] as number) << 8) |
      (bytes[at + 3] as number)) >>>
    0
  );
}

export function i64(bytes: Buffer, at: number): bigint {
  return bytes.readBigInt64BE(at);
}

export function lsn64(bytes: Buffer, at: number): Lsn {
  return bytes.readBigUInt64BE(at) as Lsn;
}
