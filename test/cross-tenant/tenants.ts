import { randomBytes } from 'node:crypto';
import { SignJWT, type JWTPayload } from 'jose';

/** A source as those who attack it, and those who judge what they got, know it. */
export interface Tenant {
  readonly id: string;
  /** What every row and the name of a column carries; nobody can guess it, and no request has it. */
  readonly mark: string;
  readonly secrets: readonly string[];
  /** Of the tokens that it takes. */
  readonly key: Uint8Array | undefined;
  /** Everybody may read it. */
  readonly open: boolean;
  /** Nobody gets anything of it, whatever they have. */
  readonly paused: boolean;
  /** Signed beforehand: signing takes longer than a request. */
  readonly tokens: readonly Token[];
  /** Handles of its shapes; filled while they are read. */
  readonly handles: Set<string>;
}

interface Token {
  readonly text: string;
  /** Its source takes it, for at least one shape. Otherwise its source may say what is wrong with it. */
  readonly good: boolean;
}

export const TABLES = ['items', 'others'] as const;

/** The tenants of a run. Two have the same kind of secret, two have tokens, one is open, one is paused. */
export async function makeTenants(): Promise<readonly Tenant[]> {
  const make = (id: string, given: Partial<Tenant>): Tenant => ({
    ...{ id, mark: `m${randomBytes(9).toString('hex')}`, secrets: [], key: undefined, open: false, paused: false },
    ...{ tokens: [], handles: new Set<string>() },
    ...given,
  });
  const secret = () => randomBytes(12).toString('base64');
  const keys = [randomBytes(32), randomBytes(32)] as const;
  const tenants = [
    make('acme', { secrets: [secret()] }),
    make('bravo', { secrets: [secret(), secret()] }),
    make('charlie', { key: keys[0], secrets: [secret()] }),
    make('delta', { key: keys[1] }),
    make('open-to-all', { open: true }),
    make('paused-one', { secrets: [secret()], paused: true }),
  ];
  return Promise.all(
    tenants.map(async (tenant) =>
      tenant.key === undefined ? tenant : { ...tenant, tokens: await tokensOf(tenant.key) },
    ),
  );
}

/** What the sources file says of a tenant. */
export function declarationOf({ secrets, key, open, paused }: Tenant): object {
  return {
    ...(secrets.length === 0 ? {} : { secrets }),
    ...(open ? { insecure: true } : {}),
    ...(paused ? { state: 'paused' } : {}),
    ...(key === undefined
      ? {}
      : {
          access: {
            jwt: { keys: [{ kty: 'oct', k: Buffer.from(key).toString('base64url'), alg: 'HS256' }] },
            rules: [{ table: 'items', where: 'tenant = {claims.tenant}' }],
          },
        }),
  };
}

async function tokensOf(key: Uint8Array): Promise<readonly Token[]> {
  const sign = async (claims: JWTPayload, good = true, expires = '1d'): Promise<Token> => {
    const text = await new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).setExpirationTime(expires).sign(key);
    return { text, good };
  };
  return Promise.all([
    sign({ tenant: 't1' }),
    sign({ tenant: 't2', role: 'admin', sub: 'acme', aud: 'bravo', source_id: 'bravo' }),
    sign({ shape: { table: 'items' } }),
    sign({ shape: { table: 'others', where: 'id > 0' } }),
    sign({ shape: { table: 'bravo.items' } }, false),
    sign({ tenant: 't1' }, false, '-1d'),
    sign({}, false),
  ]);
}
