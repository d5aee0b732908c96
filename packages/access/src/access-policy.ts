import { requestedTable, type DefinitionParams } from '@shapecast/protocol';
import { claimAt, type Claims } from './claims.ts';
import { applyGrant } from './grant.ts';
import type { Policy, Rule } from './policy.ts';
import { fillTemplate } from './template.ts';
import { TokenVerifier, type VerifierDeps } from './token-verifier.ts';

export type AccessPolicyDeps = VerifierDeps;

export type Authenticated =
  | { readonly kind: 'token'; readonly claims: Claims }
  /** `signed`: the signature fits, so that whoever sent it may know that there is such a source. */
  | { readonly kind: 'refused'; readonly reason: string; readonly signed?: true }
  | { readonly kind: 'unavailable'; readonly cause: unknown };

export type AccessDecision =
  /** The shape that is meant, restricted to what the token may see of it. */
  | { readonly kind: 'allowed'; readonly definition: DefinitionParams }
  /** One sentence for the client. */
  | { readonly kind: 'refused'; readonly reason: string };

/** Who may see what of a source, decided by signed tokens: a grant names one shape; rules say which rows a claim opens. */
export class AccessPolicy {
  readonly #policy: Policy;
  readonly #verifier: TokenVerifier;

  constructor(policy: Policy, deps: AccessPolicyDeps) {
    this.#policy = policy;
    this.#verifier = new TokenVerifier(policy.jwt, deps);
  }

  /** `authorization` is the header of the request. */
  async authenticate(authorization: string | undefined): Promise<Authenticated> {
    const token = /^Bearer +([\w.~+/=-]+) *$/i.exec(authorization ?? '')?.[1];
    if (token === undefined) return { kind: 'refused', reason: 'a token is missing: send it as Authorization: Bearer' };
    const verified = await this.#verifier.verify(token);
    switch (verified.kind) {
      case 'valid':
        return { kind: 'token', claims: verified.claims };
      case 'invalid':
        return { ...verified, kind: 'refused' };
      case 'unavailable':
        return verified;
    }
  }

  /**
   * What the request means for this token. A token with a grant is for that shape and nothing else. Otherwise the first rule for
   * the table whose claims fit decides; without one nothing of the table is seen.
   */
  decide(claims: Claims, asked: DefinitionParams): AccessDecision {
    const grant = claimAt(claims, this.#policy.grantClaim);
    if (grant !== undefined) {
      const granted = applyGrant(grant, asked);
      if (granted.ok) return { kind: 'allowed', definition: granted.definition };
      const { field } = granted;
      return refused(
        field === undefined
          ? 'the grant of the token is malformed'
          : `the token is for another shape: ${field} differs`,
      );
    }
    const table = requestedTable(asked);
    // It is a bad request, whoever sends it; nothing can come of it.
    if (!table.ok) return { kind: 'allowed', definition: asked };
    const rule = this.#policy.rules.find(
      (candidate) =>
        candidate.table.schema === table.value.schema &&
        candidate.table.name === table.value.name &&
        applies(candidate, claims),
    );
    if (rule === undefined) return refused('the token does not allow this table');
    return restricted(rule, claims, asked);
  }
}

function restricted(rule: Rule, claims: Claims, asked: DefinitionParams): AccessDecision {
  const { template, columns } = rule;
  if (template === undefined && columns === undefined) return { kind: 'allowed', definition: asked };
  const filled = template && fillTemplate(template, claims);
  if (filled?.ok === false)
    return refused(`the token does not allow this table: ${filled.missing} is missing or has no value`);
  return {
    kind: 'allowed',
    definition: {
      ...asked,
      restriction: {
        ...(filled && { where: filled.where, params: filled.params }),
        ...(columns && { columns }),
      },
    },
  };
}

function applies(rule: Rule, claims: Claims): boolean {
  return rule.when.every(({ path, values }) => {
    const held = claimAt(claims, path);
    const all: readonly unknown[] = Array.isArray(held) ? held : [held];
    return all.some((value) => values.some((wanted) => wanted === value));
  });
}

function refused(reason: string): AccessDecision {
  return { kind: 'refused', reason };
}
