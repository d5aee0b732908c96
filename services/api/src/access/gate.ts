import type { IncomingMessage } from 'node:http';
import type { AccessPolicy } from '@shapecast/access';
import type { HeaderList, Params, ShapeRequest } from '@shapecast/protocol';
import type { Logger } from '@shapecast/service-kit';
import { forbidden, type Failure } from '../answers.ts';
import { headerOf } from '../http/exchange.ts';
import type { Secrets } from '../secrets.ts';

/** Somebody with a token, who sees what that allows. */
export interface TokenAdmission {
  readonly kind: 'token';
  readonly restrict: (request: ShapeRequest) => ShapeRequest | Failure;
}

/** Nobody we know. */
interface Rejection {
  readonly kind: 'failure';
  readonly status: number;
  readonly headers: HeaderList;
  readonly body: string;
}

const HEADERS: HeaderList = ['content-type', 'application/json; charset=utf-8', 'cache-control', 'no-store'];
const WRONG_SECRET: Rejection = {
  kind: 'failure',
  status: 401,
  headers: HEADERS,
  body: JSON.stringify({ message: 'Unauthorized - Invalid API secret' }),
};
const NO_KEYS: Rejection = {
  kind: 'failure',
  status: 503,
  headers: [...HEADERS, 'retry-after', '5'],
  body: JSON.stringify({ message: 'The keys that tokens are verified with cannot be loaded. Please try again later.' }),
};

/** Who may ask: whoever knows the shared secret, as a trusted proxy does, or has a token that the access policy takes. */
export class Gate {
  readonly #secrets: Secrets;
  readonly #log: Logger;
  #policy: AccessPolicy | undefined;

  constructor(secrets: Secrets, log: Logger) {
    this.#secrets = secrets;
    this.#log = log;
  }

  /** From now on tokens are checked by this policy; tokens that were checked before are checked again. */
  use(policy: AccessPolicy): void {
    this.#secrets.guard();
    this.#policy = policy;
  }

  /** The request has the secret, or needs none. */
  knows(query: Params): boolean {
    return this.#secrets.allows(query);
  }

  async admit(req: IncomingMessage): Promise<TokenAdmission | Rejection> {
    const policy = this.#policy;
    if (policy === undefined) return WRONG_SECRET;
    const who = await policy.authenticate(headerOf(req, 'authorization'));
    switch (who.kind) {
      case 'token':
        return {
          kind: 'token',
          restrict: (request) => {
            const decision = policy.decide(who.claims, request.definition);
            if (decision.kind === 'refused') return forbidden(decision.reason);
            return { ...request, definition: decision.definition };
          },
        };
      case 'refused':
        return {
          kind: 'failure',
          status: 401,
          headers: [...HEADERS, 'www-authenticate', 'Bearer error="invalid_token"'],
          body: JSON.stringify({ code: 'invalid_token', message: `Unauthorized - ${who.reason}` }),
        };
      case 'unavailable':
        this.#log.warn({ err: who.cause }, 'the keys that tokens are verified with cannot be loaded');
        return NO_KEYS;
    }
  }
}
