/** What a shard hint says. `many` when more than 1,000 handles changed: re-check all (spec R 14.2). */
export type ShardHint = { readonly handles: readonly string[] } | { readonly many: true };

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const MAX_HANDLES = 1_000;

export function encodeShardHint(handles: readonly string[]): Uint8Array {
  return encoder.encode(JSON.stringify(handles.length > MAX_HANDLES ? { many: true } : { handles }));
}

/** A hint that cannot be read is a hint to re-check everything. */
export function decodeShardHint(payload: Uint8Array): ShardHint {
  try {
    const value = JSON.parse(decoder.decode(payload)) as { handles?: unknown };
    if (Array.isArray(value.handles)) return { handles: value.handles as string[] };
  } catch {
    // Falls through: hints are lossy anyway.
  }
  return { many: true };
}
