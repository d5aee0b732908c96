import { createHash } from 'node:crypto';
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  errors,
  importJWK,
  jwtVerify,
  type CryptoKey,
  type FetchImplementation,
  type FlattenedJWSInput,
  type JWK,
  type JWSHeaderParameters,
  type JWTVerifyOptions,
} from 'jose';
import type { Claims } from './claims.ts';
import { PUBLIC_KEY_ALGORITHMS, type Policy } from './policy.ts';

export type Verified =
  | { readonly kind: 'valid'; readonly claims: Claims }
  /** For the client: why, without details that help guessing. `signed`: the signature fits all the same. */
  | { readonly kind: 'invalid'; readonly reason: string; readonly signed?: true }
  /** The keys cannot be had, which says nothing about the token. */
  | { readonly kind: 'unavailable'; readonly cause: unknown };

export interface VerifierDeps {
  /** Milliseconds since 1970: what tokens expire by. */
  readonly now: () => number;
  /** How the key set is fetched. */
  readonly fetch?: FetchImplementation;
}

type KeyFor = (header: JWSHeaderParameters, input: FlattenedJWSInput) => Promise<CryptoKey | Uint8Array>;

interface Remembered {
  readonly claims: Claims;
  readonly until: number;
}

const MAX_TOKEN = 16_384;
const MAX_REMEMBERED = 10_000;
/** A token whose key was withdrawn goes on being taken for this long at most. */
const REMEMBERED_MS = 60_000;
const KEYS_MAX_AGE_MS = 600_000;
const KEYS_TIMEOUT_MS = 5_000;

/** Verifies signatures and times of tokens; a token that comes again, as with every long poll, is only looked up. */
export class TokenVerifier {
  readonly #deps: VerifierDeps;
  readonly #key: KeyFor;
  readonly #options: JWTVerifyOptions;
  readonly #toleranceMs: number;
  readonly #remembered = new Map<string, Remembered>();

  constructor(policy: Policy['jwt'], deps: VerifierDeps) {
    this.#deps = deps;
    const { keys, jwksUrl, algorithms, issuer, audience, clockToleranceSeconds } = policy;
    this.#key = keys === undefined ? remoteKeys(new URL(jwksUrl as string), deps) : fixedKeys(keys as readonly JWK[]);
    const shared = keys?.some(({ kty }) => kty === 'oct') ? ['HS256', 'HS384', 'HS512'] : [];
    this.#toleranceMs = clockToleranceSeconds * 1_000;
    this.#options = {
      algorithms: algorithms ?? [...PUBLIC_KEY_ALGORITHMS, ...shared],
      clockTolerance: clockToleranceSeconds,
      requiredClaims: ['exp'],
      ...(issuer === undefined ? {} : { issuer }),
      ...(audience === undefined ? {} : { audience }),
    };
  }

  async verify(token: string): Promise<Verified> {
    if (token.length > MAX_TOKEN) return { kind: 'invalid', reason: 'the token is too long' };
    const now = this.#deps.now();
    const id = createHash('sha256').update(token).digest('base64');
    const known = this.#remembered.get(id);
    if (known !== undefined && known.until > now) return { kind: 'valid', claims: known.claims };
    try {
      const { payload } = await jwtVerify(token, this.#key, { ...this.#options, currentDate: new Date(now) });
      this.#remember(id, payload, now);
      return { kind: 'valid', claims: payload };
    } catch (error) {
      const reason = reasonOf(error);
      if (reason === undefined) return { kind: 'unavailable', cause: error };
      // Claims are looked at after the signature.
      const signed = error instanceof errors.JWTExpired || error instanceof errors.JWTClaimValidationFailed;
      return { kind: 'invalid', reason, ...(signed ? { signed } : {}) };
    }
  }

  #remember(id: string, claims: Claims, now: number): void {
    const expires = (claims['exp'] as number) * 1_000 + this.#toleranceMs;
    this.#remembered.delete(id);
    if (this.#remembered.size >= MAX_REMEMBERED) {
      this.#remembered.delete(this.#remembered.keys().next().value as string);
    }
    this.#remembered.set(id, { claims, until: Math.min(expires, now + REMEMBERED_MS) });
  }
}

/** While the server of the keys is away, the ones it gave last still count. */
function remoteKeys(url: URL, deps: VerifierDeps): KeyFor {
  const remote = createRemoteJWKSet(url, {
    cacheMaxAge: KEYS_MAX_AGE_MS,
    timeoutDuration: KEYS_TIMEOUT_MS,
    ...(deps.fetch === undefined ? {} : { [customFetch]: deps.fetch }),
  });
  return async (header, input) => {
    try {
      return await remote(header, input);
    } catch (error) {
      const last = remote.jwks();
      if (reasonOf(error) !== undefined || last === undefined) throw error;
      try {
        return await createLocalJWKSet(last)(header, input);
      } catch {
        // That key may be a new one, so it is not the token that is wrong.
        throw error;
      }
    }
  };
}

function fixedKeys(keys: readonly JWK[]): KeyFor {
  const publicKeys = keys.filter(({ kty }) => kty !== 'oct');
  const fromSet = createLocalJWKSet({ keys: publicKeys });
  const sharedKeys = keys.filter(({ kty }) => kty === 'oct');
  return async (header, input) => {
    if (!header.alg?.startsWith('HS')) return fromSet(header, input);
    const fitting = sharedKeys.filter(
      ({ kid, alg }) => (header.kid === undefined || kid === header.kid) && (alg === undefined || alg === header.alg),
    );
    if (fitting.length === 0) throw new errors.JWKSNoMatchingKey();
    if (fitting.length > 1) throw new errors.JWKSMultipleMatchingKeys();
    return importJWK(fitting[0] as JWK, header.alg);
  };
}

/** Undefined when the error is not about the token. */
function reasonOf(error: unknown): string | undefined {
  if (error instanceof errors.JWTExpired) return 'the token has expired';
  if (error instanceof errors.JWTClaimValidationFailed) return `the claim ${error.claim} is not what it must be`;
  if (error instanceof errors.JWKSNoMatchingKey) return 'no key fits the token';
  if (error instanceof errors.JWKSMultipleMatchingKeys)
    return 'several keys fit the token, so it has to name one (kid)';
  if (error instanceof errors.JOSEAlgNotAllowed) return 'the algorithm of the token is not allowed';
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'the signature does not fit';
  if (error instanceof errors.JWSInvalid || error instanceof errors.JWTInvalid) return 'this is no signed token';
  if (error instanceof errors.JOSENotSupported) return 'the token uses something that is not supported';
  return undefined;
}
