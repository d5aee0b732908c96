import { readFileSync } from 'node:fs';
import type { Clock, Logger } from '@shapecast/service-kit';
import { followFile } from './follow-file.ts';
import type { Secrets } from './secrets.ts';

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

/** Keeps `secrets` equal to the file until `signal` aborts. A file that has no secret left counts as a mistake. */
export function followSecretsFile(
  path: string,
  secrets: Secrets,
  parts: { readonly clock: Clock; readonly log: Logger },
  signal: AbortSignal,
): Promise<void> {
  const take = (text: string) => {
    const now = secretsOf(text);
    if (now.length === 0) throw new Error('the file has no secret');
    secrets.reload(now);
    return { secrets: now.length };
  };
  const taken = 'secrets were read again';
  const refused = 'secrets file cannot be used, the secrets read before stay valid';
  return followFile({ path, take, taken, refused }, parts, signal);
}
