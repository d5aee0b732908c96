import type { SourceDetails } from './source-usage.ts';

export type DetailName = keyof SourceDetails;

/** Asks all processes that have something to do with a source for a detail of it. */
export interface UsageQuestion {
  /** Names the subject of the answers. */
  readonly id: string;
  readonly source: string;
  readonly what: DetailName;
  /** Entries that are wanted from each process at most. */
  readonly most: number;
}

export interface DetailAnswer {
  readonly process: string;
  readonly value: unknown;
}

/** Servers take messages of 1 MiB unless somebody has set less; what is larger says nothing. */
const MAX_ANSWER_BYTES = 512 * 1024;

const decoder = new TextDecoder();

export function encodeQuestion(question: UsageQuestion): Uint8Array {
  return Buffer.from(JSON.stringify(question));
}

/** Undefined for what is none, or one of a version to come. */
export function decodeQuestion(payload: Uint8Array): UsageQuestion | undefined {
  const { id, source, what, most } = parse(payload);
  if (typeof id !== 'string' || !/^[\w-]+$/.test(id) || typeof source !== 'string' || typeof most !== 'number') {
    return undefined;
  }
  return what === 'readers' || what === 'matching' ? { id, source, what, most } : undefined;
}

export function encodeAnswer(answer: DetailAnswer): Uint8Array {
  const bytes = Buffer.from(JSON.stringify(answer));
  return bytes.length <= MAX_ANSWER_BYTES ? bytes : Buffer.from(JSON.stringify({ process: answer.process }));
}

export function decodeAnswer(payload: Uint8Array): DetailAnswer | undefined {
  const { process, value } = parse(payload);
  return typeof process === 'string' ? { process, value } : undefined;
}

function parse(payload: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    return (JSON.parse(decoder.decode(payload)) ?? {}) as Record<string, unknown>;
  } catch {
    return {};
  }
}
