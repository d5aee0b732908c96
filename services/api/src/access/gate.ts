import type { IncomingMessage } from 'node:http';
import type { AccessPolicy } from '@shapecast/access';
import type { HeaderList, Params, ShapeRequest } from '@shapecast/protocol';
import type { Logger } from '@shapecast/service-kit';
import { headerOf } from '../http/exchange.ts';
import type { Secrets } from '../secrets.ts';
import type { Denial } from '../telemetry/source-telemetry.ts';

/** Somebody with a token, who sees what that allows. */
export interface TokenAdmission {
  readonly kind: 'token';
  readonly restrict: (request: ShapeRequest) => ShapeRequest | Refused;
}

/** The token does not allow it. */
interface Refused {
  readonly refused: string;
}

/** Nobody we know. */
interface Rejection {
  readonly kind: 'failure';
  readonly status: number;
  readonly headers: HeaderList;
  /** `message` of the body. */
  readonly reason: string;
  readonly body: string;
  /** For us, and never shown. */
  readonly denial: Denial;
}

interface GateOptions {
  /** Answers do not show whether there is such a source to anybody who has neither a secret of it nor a token that it has signed. */
  readonly discreet?: boolean;
  /** Secrets that open every source: those of edges that ask `/v1/authorize` first. */
  readonly edge?: Secrets | undefined;
}

const HEADERS: HeaderList = ['content-type', 'application/json; charset=utf-8', 'cache-control', 'no-store'];
const WRONG_SECRET = rejection(401, 'Unauthorized - Invalid API secret', 'secret');
/** As if it were the secret, since there may be no such source. */
const WRONG_TOKEN: Rejection = { ...WRONG_SECRET, denial: 'token' };
const NO_KEYS = rejection(
  503,
  'The keys that tokens are verified with cannot be loaded. Please try again later.',
  'keys',
  {
    headers: ['retry-after', '5'],
  },
);

/** Who may ask: whoever knows the shared secret, as a trusted proxy does, or has a token that the access policy takes. */
export class Gate {
  readonly #secrets: Secrets;
  readonly #log: Logger;
  readonly #options: GateOptions;
  #policy: AccessPolicy | undefined;

  constructor(secrets: Secrets, log: Logger, options: GateOptions = {}) {
    this.#secrets = secrets;
    this.#log = log;
    this.#options = options;
  }

  /** From now on tokens are checked by this policy; tokens that were checked before are checked again. */
  use(policy: AccessPolicy): void {
    this.#secrets.guard();
    this.#policy = policy;
  }

  /** From now on no token is taken. */
  useNone(): void {
    this.#policy = undefined;
  }

  /** The request has the secret, or needs none. */
  knows(query: Params): boolean {
    // Both are looked at, whatever the first one says: what they say must not show in the time.
    const edge = this.#options.edge?.allows(query) === true;
    return this.#secrets.allows(query) || edge;
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
            if (decision.kind === 'refused') return { refused: decision.reason };
            return { ...request, definition: decision.definition };
          },
        };
      case 'refused':
        if (this.#options.discreet === true && who.signed !== true) return WRONG_TOKEN;
        return rejection(401, `Unauthorized - ${who.reason}`, 'token', {
          code: 'invalid_token',
          headers: ['www-authenticate', 'Bearer error="invalid_token"'],
        });
      case 'unavailable':
        this.#log.warn({ err: who.cause }, 'the keys that tokens are verified with cannot be loaded');
        return NO_KEYS;
    }
  }
}

function rejection(
  status: number,
  reason: string,
  denial: Denial,
  { code, headers = [] }: { readonly code?: string; readonly headers?: HeaderList } = {},
): Rejection {
  const body = JSON.stringify({ code, message: reason });
  return { kind: 'failure', status, headers: [...HEADERS, ...headers], reason, body, denial };
}
