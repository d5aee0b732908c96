import { createHash, timingSafeEqual } from 'node:crypto';
import type { Clock } from '@shapecast/service-kit';

/** Wrong tokens that an address may give one after the other, and after how long it gets one of them back. */
const TRIES = 10;
const REGAIN_MS = 6_000;
/** Addresses that are remembered; beyond it those that were wrong the longest ago are forgotten. */
const MAX_ADDRESSES = 10_000;

export type Verdict =
  | { readonly kind: 'ok' }
  | { readonly kind: 'wrong' }
  /** Too many wrong tokens came from this address: even a right one is not looked at. */
  | { readonly kind: 'limited'; readonly retryAfterS: number };

/** Lets in whoever has one of the tokens, and slows down whoever guesses. */
export class TokenGuard {
  readonly #digests: readonly Buffer[];
  readonly #clock: Clock;
  /** How much of its tries an address has used, and when that was so. */
  readonly #used = new Map<string, { readonly tries: number; readonly at: number }>();

  constructor(tokens: readonly string[], clock: Clock) {
    this.#digests = tokens.map(digest);
    this.#clock = clock;
  }

  /** `header` is that of `authorization`. */
  check(header: string | undefined, address: string): Verdict {
    const tries = this.#triesOf(address);
    if (tries > TRIES - 1) {
      return { kind: 'limited', retryAfterS: Math.ceil(((tries - (TRIES - 1)) * REGAIN_MS) / 1_000) };
    }
    const token = /^Bearer +(\S+) *$/i.exec(header ?? '')?.[1];
    if (token !== undefined && this.#fits(token)) return { kind: 'ok' };
    // Who gives none does not guess.
    if (token !== undefined) this.#remember(address, tries + 1);
    return { kind: 'wrong' };
  }

  /** In the same time whichever fits, and however much of it does. */
  #fits(token: string): boolean {
    const given = digest(token);
    return this.#digests.map((one) => timingSafeEqual(one, given)).includes(true);
  }

  #triesOf(address: string): number {
    const used = this.#used.get(address);
    if (used === undefined) return 0;
    const left = used.tries - Math.max(0, this.#clock.now() - used.at) / REGAIN_MS;
    if (left > 0) return left;
    this.#used.delete(address);
    return 0;
  }

  #remember(address: string, tries: number): void {
    this.#used.delete(address);
    if (this.#used.size >= MAX_ADDRESSES) this.#used.delete(this.#used.keys().next().value as string);
    this.#used.set(address, { tries, at: this.#clock.now() });
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
