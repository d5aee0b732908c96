import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { Clock, Logger } from '@shapecast/service-kit';

/** A changed file counts within this time (spec O 9, F175: 5 s). */
const CHECK_MS = 1_000;

/** What is done with the text of a file. */
export interface FollowedFile {
  readonly path: string;
  /** Throws when the text cannot be used. Returns what the log says of it. */
  readonly take: (text: string) => Readonly<Record<string, unknown>>;
  /** Log line after each change. */
  readonly taken: string;
  /** Log line when it cannot be used; what was taken before stays. */
  readonly refused: string;
}

/**
 * Takes what is in a file before it returns its promise, and again whenever it changes, until `signal` aborts. It is read again
 * and again, as orchestrators swap whole folders below it, which watching a file does not notice. Throws when the first text
 * cannot be used; later ones change nothing then: a mistake of deployment neither opens the service nor locks everybody out.
 */
export async function followFile(
  { path, take, taken, refused }: FollowedFile,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
  signal: AbortSignal,
): Promise<void> {
  let current = readFileSync(path, 'utf8');
  take(current);
  /** Null: that there is no text. */
  let complainedOf: string | null | undefined;
  while (!signal.aborted) {
    await clock.sleep(CHECK_MS, signal).catch(() => undefined);
    let text: string | undefined;
    try {
      text = await readFile(path, 'utf8');
      if (text === current) complainedOf = undefined;
      if (text === current || text === complainedOf) continue;
      const fields = take(text);
      current = text;
      complainedOf = undefined;
      log.info(fields, taken);
    } catch (err) {
      // Once for each text, and once for as long as there is none.
      const what = text ?? null;
      if (complainedOf !== what) log.error({ err }, refused);
      complainedOf = what;
    }
  }
}
