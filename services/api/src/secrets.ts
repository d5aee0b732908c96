import { hash, timingSafeEqual } from 'node:crypto';
import type { Params } from '@shapecast/protocol';

/** Checks the shared secret (spec H 4). Without secrets everything is allowed (insecure mode). */
export class Secrets {
  readonly #digests: readonly Buffer[];

  constructor(secrets: readonly string[]) {
    this.#digests = secrets.map(digest);
  }

  /** `api_secret` counts only when `secret` is absent (AU-2). Digests are compared, so that neither length nor content shows in the time. */
  allows(query: Params): boolean {
    if (this.#digests.length === 0) return true;
    const given = 'secret' in query ? query.secret : query.api_secret;
    if (typeof given !== 'string') return false;
    const candidate = digest(given);
    let allowed = false;
    for (const known of this.#digests) allowed = timingSafeEqual(known, candidate) || allowed;
    return allowed;
  }
}

function digest(text: string): Buffer {
  return hash('sha256', text, 'buffer');
}
