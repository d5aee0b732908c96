import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { Clock, Logger } from '@shapecast/service-kit';
import type { Secrets } from './secrets.ts';

/** A changed file counts within this time (spec O 9, F175: 5 s). */
const CHECK_MS = 1_000;

/** One secret per line; blanks around it, and empty lines, are no part of it. Anything else is: also commas. */
function secretsOf(text: string): readonly string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

/** Throws when the file cannot be read. */
export function readSecretsFile(path: string): readonly string[] {
  return secretsOf(readFileSync(path, 'utf8'));
}

/**
 * Keeps `secrets` equal to the file until `signal` aborts. It is read again and again, as orchestrators swap whole folders
 * below it, which watching a file does not notice. A file that went away, or has no secret left, changes nothing: a mistake
 * of deployment neither opens the service nor locks everybody out.
 */
export async function followSecretsFile(
  path: string,
  secrets: Secrets,
  parts: { readonly clock: Clock; readonly log: Logger },
  signal: AbortSignal,
): Promise<void> {
  const { clock, log } = parts;
  let current = readSecretsFile(path);
  let complained = false;
  secrets.reload(current);
  while (!signal.aborted) {
    await clock.sleep(CHECK_MS, signal).catch(() => undefined);
    try {
      const now = secretsOf(await readFile(path, 'utf8'));
      if (now.length === 0) throw new Error('the file has no secret');
      complained = false;
      if (now.join('\n') === current.join('\n')) continue;
      current = now;
      secrets.reload(current);
      log.info({ secrets: current.length }, 'secrets were read again');
    } catch (err) {
      if (!complained) log.error({ err }, 'secrets file cannot be used, the secrets read before stay valid');
      complained = true;
    }
  }
}
