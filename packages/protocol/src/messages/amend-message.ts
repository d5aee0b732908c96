/** How the end of a change message has to change because its neighbours in the transaction went. */
export interface MessageAmendment {
  /** It is the last one of its transaction now. */
  readonly last: boolean;
  /** The other half of its change of key is gone: what is left is a plain insert or delete. */
  readonly alone: boolean;
}

const LAST = ',"last":true}}';
const KEY_CHANGES = [',"key_change_to":"', ',"key_change_from":"'];

/**
 * A change message of `RowEncoder` with another end (MS-5, MS-8). Nothing else of it changes: the members at issue are the last
 * ones of its headers, and no text inside a value can look like them, because its quotes are escaped.
 */
export function amendMessage(bytes: Uint8Array, { last, alone }: MessageAmendment): Uint8Array {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
  const wasLast = text.endsWith(LAST);
  let body = text.slice(0, wasLast ? -LAST.length : -'}}'.length);
  if (alone) {
    const from = Math.max(...KEY_CHANGES.map((name) => body.lastIndexOf(name)));
    if (from > body.lastIndexOf(',"op_position":')) body = body.slice(0, from);
  }
  return Buffer.from(`${body}${last || wasLast ? LAST : '}}'}`);
}
