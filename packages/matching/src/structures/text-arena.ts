const SEGMENT_BYTES = 1 << 18;
const FIRST_BYTES = 1 << 8;
const GRANULE = 8;
/** Blocks of up to 256 bytes come in steps of 8, larger ones in powers of two up to the last class. */
const FINE_CLASSES = 32;
const CLASSES = FINE_CLASSES + 7;
const MAX_BLOCK_BYTES = 256 << (CLASSES - FINE_CLASSES);

/** Longest text that a block can hold, in UTF-16 units: two bytes each after a header of four. */
export const MAX_ARENA_LENGTH = (MAX_BLOCK_BYTES - 4) / 2;

interface Segment {
  readonly ints: Int32Array;
  readonly bytes: Uint8Array;
  readonly units: Uint16Array;
}

/**
 * Texts in typed arrays: no object each, nothing for the garbage collector to walk. A text is a block, named by its
 * place in steps of 8 bytes: a header of four bytes, then one byte a unit if all are below U+0100, else two. A freed
 * block serves the next text of its size class.
 */
export class TextArena {
  readonly #segments: Segment[] = [segment(FIRST_BYTES)];
  /** First free block of each class plus 1, the next one standing in the block itself. */
  readonly #free = new Int32Array(CLASSES + 1);
  /** Bytes used of the last segment. */
  #used = 0;

  /** Stores `text[from..to)`, at most MAX_ARENA_LENGTH units, with a bit of the caller's. */
  add(text: string, from: number, to: number, tag: number): number {
    const wide = isWide(text, from, to);
    const length = to - from;
    const block = this.#allocate(classOf(length, wide));
    const { ints, bytes, units } = this.#segmentOf(block);
    const at = offsetOf(block);
    ints[at >> 2] = (length << 2) | (wide ? 2 : 0) | tag;
    if (wide) for (let i = 0; i < length; i++) units[(at >> 1) + 2 + i] = text.charCodeAt(from + i);
    else for (let i = 0; i < length; i++) bytes[at + 4 + i] = text.charCodeAt(from + i);
    return block;
  }

  remove(block: number): void {
    const { ints } = this.#segmentOf(block);
    const at = offsetOf(block) >> 2;
    const header = ints[at] as number;
    const sizeClass = classOf(header >> 2, (header & 2) !== 0);
    ints[at] = this.#free[sizeClass] as number;
    this.#free[sizeClass] = block + 1;
  }

  length(block: number): number {
    return (this.#segmentOf(block).ints[offsetOf(block) >> 2] as number) >> 2;
  }

  tag(block: number): number {
    return (this.#segmentOf(block).ints[offsetOf(block) >> 2] as number) & 1;
  }

  /** Whether the text of the block is `text[from..to)` and its tag is `tag`. */
  equals(block: number, text: string, from: number, to: number, tag: number): boolean {
    const segment = this.#segmentOf(block);
    const header = segment.ints[offsetOf(block) >> 2] as number;
    return header >> 2 === to - from && (header & 1) === tag && sameUnits(segment, block, header, text, from);
  }

  /** Whether the text of the block occurs in `text` at `from`. */
  occursAt(block: number, text: string, from: number): boolean {
    const segment = this.#segmentOf(block);
    const header = segment.ints[offsetOf(block) >> 2] as number;
    return from >= 0 && from + (header >> 2) <= text.length && sameUnits(segment, block, header, text, from);
  }

  textOf(block: number): string {
    const { ints, bytes, units } = this.#segmentOf(block);
    const at = offsetOf(block);
    const header = ints[at >> 2] as number;
    const length = header >> 2;
    const stored = (header & 2) !== 0 ? units.subarray((at >> 1) + 2) : bytes.subarray(at + 4);
    return Reflect.apply(String.fromCharCode, null, stored.subarray(0, length)) as string;
  }

  bytes(): number {
    let bytes = 0;
    for (const one of this.#segments) bytes += one.bytes.length;
    return bytes;
  }

  #segmentOf(block: number): Segment {
    return this.#segments[Math.floor((block * GRANULE) / SEGMENT_BYTES)] as Segment;
  }

  #allocate(sizeClass: number): number {
    const free = this.#free[sizeClass] as number;
    if (free !== 0) {
      const { ints } = this.#segmentOf(free - 1);
      this.#free[sizeClass] = ints[offsetOf(free - 1) >> 2] as number;
      return free - 1;
    }
    const bytes = classBytes(sizeClass);
    let last = this.#segments.length - 1;
    let room = (this.#segments[last] as Segment).bytes.length;
    while (this.#used + bytes > room && room < SEGMENT_BYTES) room *= 2;
    if (this.#used + bytes > room) {
      last = this.#segments.push(segment(SEGMENT_BYTES)) - 1;
      this.#used = 0;
    } else if (room > (this.#segments[last] as Segment).bytes.length) {
      const larger = segment(room);
      larger.bytes.set((this.#segments[last] as Segment).bytes);
      this.#segments[last] = larger;
    }
    const block = (last * SEGMENT_BYTES + this.#used) / GRANULE;
    this.#used += bytes;
    return block;
  }
}

function segment(bytes: number): Segment {
  const buffer = new ArrayBuffer(bytes);
  return { ints: new Int32Array(buffer), bytes: new Uint8Array(buffer), units: new Uint16Array(buffer) };
}

function offsetOf(block: number): number {
  return (block % (SEGMENT_BYTES / GRANULE)) * GRANULE;
}

function isWide(text: string, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (text.charCodeAt(i) > 0xff) return true;
  return false;
}

function classOf(length: number, wide: boolean): number {
  const bytes = 4 + (wide ? 2 * length : length);
  if (bytes <= FINE_CLASSES * GRANULE) return Math.ceil(bytes / GRANULE);
  return FINE_CLASSES + 24 - Math.clz32(bytes - 1);
}

function classBytes(sizeClass: number): number {
  return sizeClass <= FINE_CLASSES ? sizeClass * GRANULE : 256 << (sizeClass - FINE_CLASSES);
}

function sameUnits({ bytes, units }: Segment, block: number, header: number, text: string, from: number): boolean {
  const length = header >> 2;
  const at = offsetOf(block);
  if ((header & 2) !== 0) {
    for (let i = 0; i < length; i++) if (units[(at >> 1) + 2 + i] !== text.charCodeAt(from + i)) return false;
  } else {
    for (let i = 0; i < length; i++) if (bytes[at + 4 + i] !== text.charCodeAt(from + i)) return false;
  }
  return true;
}
