import { hash, timingSafeEqual } from 'node:crypto';
import type { Params } from '@shapecast/protocol';

/** Checks the shared secret (spec H 4). Without secrets everything is allowed (insecure mode), unless tokens are checked, too. */
export class Secrets {
  #fixed: readonly Buffer[];
  #reloaded: readonly Buffer[] = [];
  #guarded: boolean;

  constructor(secrets: readonly string[]) {
    this.#fixed = secrets.map(digest);
    this.#guarded = secrets.length > 0;
  }

  /** Those of the file, in place of what it held before. From the first call on there is no insecure mode, whatever it holds. */
  reload(secrets: readonly string[]): void {
    this.#reloaded = secrets.map(digest);
    this.#guarded = true;
  }

  /** From now on these count, given as hexadecimal SHA-256, and nothing else; with `insecure` everybody is let in. */
  replace(digests: readonly string[], { insecure }: { readonly insecure: boolean }): void {
    this.#fixed = digests.map((text) => Buffer.from(text, 'hex')).filter(({ length }) => length === DIGEST_BYTES);
    this.#reloaded = [];
    this.#guarded = !insecure;
  }

  /** There is another way to be let in, so having no secret opens nothing. */
  guard(): void {
    this.#guarded = true;
  }

  /** `api_secret` counts only when `secret` is absent (AU-2). Digests are compared, so that neither length nor content shows in the time. */
  allows(query: Params): boolean {
    if (!this.#guarded) return true;
    const given = 'secret' in query ? query.secret : query.api_secret;
    if (typeof given !== 'string') return false;
    const candidate = digest(given);
    let allowed = false;
    for (const known of this.#fixed) allowed = timingSafeEqual(known, candidate) || allowed;
    for (const known of this.#reloaded) allowed = timingSafeEqual(known, candidate) || allowed;
    return allowed;
  }
}

const DIGEST_BYTES = 32;

function digest(text: string): Buffer {
  return hash('sha256', text, 'buffer');
}
