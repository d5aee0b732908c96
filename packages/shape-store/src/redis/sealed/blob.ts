/** What the chunk index says of a sealed chunk: where its entries are. */
export interface BlobRef {
  readonly token: string;
  readonly blocks: number;
  readonly entries: number;
  readonly jsonBytes: number;
  /** Of the compressed blocks. */
  readonly heldBytes: number;
  readonly compacted: boolean;
}

/** A chunk of the index. */
export interface IndexedChunk {
  readonly handle: string;
  /** Padded id of the last entry. */
  readonly end: string;
  /** Absent while the entries are in the stream. */
  readonly blob?: BlobRef;
}

export function encodeBlobRef({ token, blocks, entries, jsonBytes, heldBytes, compacted }: BlobRef): string {
  return `${token} ${blocks} ${entries} ${jsonBytes} ${heldBytes} ${compacted ? 'c' : 's'}`;
}

export function encodeMember({ handle, end, blob }: IndexedChunk): string {
  return blob ? `${handle} ${end} ${encodeBlobRef(blob)}` : `${handle} ${end}`;
}

/** Reads a member of the chunk index. */
export function decodeMember(member: string): IndexedChunk {
  const [handle, end, token, blocks, entries, jsonBytes, heldBytes, kind] = member.split(' ') as [
    string,
    string,
    ...string[],
  ];
  if (token === undefined) return { handle, end };
  const blob = {
    token,
    blocks: Number(blocks),
    entries: Number(entries),
    jsonBytes: Number(jsonBytes),
    heldBytes: Number(heldBytes),
    compacted: kind === 'c',
  };
  return { handle, end, blob };
}

/** Everything in the index after a chunk's end, whether that chunk is sealed or not. */
export function afterMember(handle: string, end: string): string {
  return `(${handle} ${end}~`;
}

/** Everything in the index of one handle. */
export function lastMember(handle: string): string {
  return `[${handle} ~`;
}

/** One block of a blob, as the blob's table has it. */
export interface BlockInfo {
  /** Padded id of the last entry. */
  readonly last: string;
  readonly entries: number;
  readonly jsonBytes: number;
}

/** The first element of a blob; the blocks follow. */
export function encodeTable(blocks: readonly BlockInfo[]): string {
  return blocks.map(({ last, entries, jsonBytes }) => `${last} ${entries} ${jsonBytes}`).join('\n');
}

export function decodeTable(text: string): BlockInfo[] {
  return text.split('\n').map((line) => {
    const [last, entries, jsonBytes] = line.split(' ') as [string, string, string];
    return { last, entries: Number(entries), jsonBytes: Number(jsonBytes) };
  });
}
