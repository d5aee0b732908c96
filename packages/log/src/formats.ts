import { ShapecastError } from '@shapecast/errors';

/**
 * Versions of what is stored and outlives a process: records of the tx stream (`v`), and messages in the logs of shapes. A program reads
 * every version up to its own, and writes the newest that all living programs of the source read (spec O 2.5, ADR 27).
 */
export interface Formats {
  readonly record: number;
  readonly log: number;
}

/** What this program reads, and what it could write at most. */
export const KNOWN_FORMATS: Formats = { record: 1, log: 1 };

/** What everybody reads, from the first version on. */
export const FIRST_FORMATS: Formats = { record: 1, log: 1 };

const NAMES = { record: 'the transaction stream', log: 'the logs of shapes' } as const;

/** One sentence, when a program that knows `known` must keep its hands off what is written as `used`. */
export function formatRefusal(used: Partial<Formats>, known: Formats = KNOWN_FORMATS): string | undefined {
  for (const name of ['record', 'log'] as const) {
    const format = used[name] ?? 1;
    if (format > known[name]) return tooOld(NAMES[name], format, known[name]);
  }
  return undefined;
}

/** Throws FORMAT_UNKNOWN when something is written in a format that this program does not know. */
export function checkFormat(name: keyof Formats, format: number): void {
  if (format <= KNOWN_FORMATS[name]) return;
  throw new ShapecastError('FORMAT_UNKNOWN', tooOld(NAMES[name], format, KNOWN_FORMATS[name]), { name, format });
}

function tooOld(what: string, format: number, known: number): string {
  return (
    `This process is too old: format ${format} is in use for ${what}, and it knows formats up to ${known}. ` +
    'Run the version that the other processes run, or a newer one.'
  );
}
