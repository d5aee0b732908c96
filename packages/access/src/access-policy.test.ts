import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { DefinitionParams } from '@shapecast/protocol';
import { SignJWT, type JWTPayload } from 'jose';
import { describe, expect, onTestFinished, test } from 'vitest';
import { AccessPolicy } from './access-policy.ts';
import { parsePolicy } from './policy.ts';

const NOW = Date.UTC(2030, 0, 1);
const EC = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const RSA = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ED = generateKeyPairSync('ed25519');
const SHARED = Buffer.from('a secret that is long enough for it');

function publicJwk({ publicKey }: { readonly publicKey: KeyObject }, kid: string): object {
  return { ...publicKey.export({ format: 'jwk' }), kid };
}

const KEYS = [
  publicJwk(EC, 'ec'),
  publicJwk(RSA, 'rsa'),
  publicJwk(ED, 'ed'),
  { kty: 'oct', k: SHARED.toString('base64url'), kid: 'shared', alg: 'HS256' },
];

function policyOf(given: Record<string, unknown>, now = () => NOW): AccessPolicy {
  const parsed = parsePolicy({ jwt: { keys: KEYS }, ...given });
  if (!parsed.ok) throw new Error(parsed.problems.join());
  return new AccessPolicy(parsed.policy, { now });
}

interface Signing {
  readonly alg?: string;
  readonly kid?: string;
  readonly key?: KeyObject | Uint8Array;
  /** Seconds from now. */
  readonly expires?: number;
}

async function bearer(
  claims: JWTPayload,
  { alg = 'ES256', kid = 'ec', key = EC.privateKey, expires = 60 }: Signing = {},
) {
  const exp = NOW / 1_000 + expires;
  return `Bearer ${await new SignJWT({ exp, ...claims }).setProtectedHeader({ alg, kid }).sign(key)}`;
}

async function claimsOf(policy: AccessPolicy, authorization: string) {
  const who = await policy.authenticate(authorization);
  if (who.kind !== 'token') throw new Error(`${who.kind}: ${'reason' in who ? who.reason : ''}`);
  return who.claims;
}

const ASKED: DefinitionParams = { table: 'items', replica: 'default', log: 'full', compaction: false };

describe('a token', () => {
  test.each<[string, Signing]>([
    ['ES256', {}],
    ['RS256', { alg: 'RS256', kid: 'rsa', key: RSA.privateKey }],
    ['PS384', { alg: 'PS384', kid: 'rsa', key: RSA.privateKey }],
    ['EdDSA', { alg: 'EdDSA', kid: 'ed', key: ED.privateKey }],
    ['HS256', { alg: 'HS256', kid: 'shared', key: SHARED }],
  ])('signed with %s is taken', async (_name, signing) => {
    const policy = policyOf({});
    expect(await claimsOf(policy, await bearer({ sub: 'somebody' }, signing))).toMatchObject({ sub: 'somebody' });
  });

  test('is refused when its signature is of another key', async () => {
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const who = await policyOf({}).authenticate(await bearer({}, { key: other.privateKey }));
    expect(who).toEqual({ kind: 'refused', reason: 'the signature does not fit' });
  });

  test('is refused when a public key is passed off as a shared one', async () => {
    const pem = Buffer.from(RSA.publicKey.export({ format: 'pem', type: 'spki' }));
    const forged = await bearer({}, { alg: 'HS256', kid: 'rsa', key: pem });
    expect(await policyOf({}).authenticate(forged)).toEqual({ kind: 'refused', reason: 'no key fits the token' });
  });

  test('is refused when it is not signed', async () => {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const who = await policyOf({}).authenticate(`Bearer ${part({ alg: 'none' })}.${part({ exp: NOW })}.`);
    expect(who.kind).toBe('refused');
  });

  test.each([
    undefined,
    '',
    'Bearer',
    'Bearer a b',
    'Basic dTpw',
    'Bearer not-a-token',
    `Bearer ${'x'.repeat(20_000)}`,
  ])('is refused when the header is %.30j', async (header) => {
    expect((await policyOf({}).authenticate(header)).kind).toBe('refused');
  });

  test('ends when it says so, within the tolerance, also when it was taken before', async () => {
    let now = NOW;
    const policy = policyOf({ jwt: { keys: KEYS, clockToleranceSeconds: 5 } }, () => now);
    const token = await bearer({}, { expires: 10 });
    expect((await policy.authenticate(token)).kind).toBe('token');
    now = NOW + 14_000;
    expect((await policy.authenticate(token)).kind).toBe('token');
    now = NOW + 16_000;
    expect(await policy.authenticate(token)).toEqual({
      kind: 'refused',
      reason: 'the token has expired',
      signed: true,
    });
  });

  test('must end', async () => {
    const forever = `Bearer ${await new SignJWT({}).setProtectedHeader({ alg: 'ES256', kid: 'ec' }).sign(EC.privateKey)}`;
    expect(await policyOf({}).authenticate(forever)).toEqual({
      kind: 'refused',
      reason: 'the claim exp is not what it must be',
      signed: true,
    });
  });

  test('must be for this audience, from this issuer', async () => {
    const policy = policyOf({
      jwt: { keys: KEYS, audience: 'shapes', issuer: ['https://a.example', 'https://b.example'] },
    });
    const good = { aud: 'shapes', iss: 'https://b.example' };
    expect((await policy.authenticate(await bearer(good))).kind).toBe('token');
    expect((await policy.authenticate(await bearer({ ...good, aud: 'mail' }))).kind).toBe('refused');
    expect((await policy.authenticate(await bearer({ ...good, iss: 'https://c.example' }))).kind).toBe('refused');
  });
});

describe('keys at a URL', () => {
  async function serveKeys() {
    let keys: object[] | undefined = [publicJwk(EC, 'ec')];
    let asked = 0;
    const server = createServer((_req, res) => {
      asked += 1;
      if (keys === undefined) return void res.writeHead(503).end();
      res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ keys }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`;
    return { url, asked: () => asked, set: (next: object[] | undefined) => (keys = next) };
  }

  test('are loaded once for many tokens', async () => {
    const served = await serveKeys();
    const policy = policyOf({ jwt: { jwksUrl: served.url } });
    for (let i = 0; i < 5; i += 1) expect((await policy.authenticate(await bearer({ i }))).kind).toBe('token');
    expect(served.asked()).toBe(1);
  });

  test('that cannot be loaded say nothing about the token', async () => {
    const served = await serveKeys();
    served.set(undefined);
    expect((await policyOf({ jwt: { jwksUrl: served.url } }).authenticate(await bearer({}))).kind).toBe('unavailable');
  });

  test('that nobody knows do not let a token in', async () => {
    const served = await serveKeys();
    const policy = policyOf({ jwt: { jwksUrl: served.url } });
    const other = await bearer({}, { alg: 'RS256', kid: 'rsa', key: RSA.privateKey });
    expect(await policy.authenticate(other)).toEqual({ kind: 'refused', reason: 'no key fits the token' });
  });
});

describe('rules', () => {
  const policy = policyOf({
    rules: [
      { table: 'items', when: { role: ['admin', 'auditor'] } },
      { table: 'items', where: 'tenant = {claims.app.tenant}', columns: ['id', 'title'] },
      { table: 'colours' },
    ],
  });

  test('limit what is asked to what the claims say, beside the SQL', async () => {
    const claims = await claimsOf(policy, await bearer({ app: { tenant: "x' or true --" } }));
    expect(policy.decide(claims, { ...ASKED, where: 'title is not null' })).toEqual({
      kind: 'allowed',
      definition: {
        ...ASKED,
        where: 'title is not null',
        restriction: { where: 'tenant = $1', params: { 1: "x' or true --" }, columns: ['id', 'title'] },
      },
    });
  });

  test('the first that fits decides', () => {
    for (const role of ['admin', ['editor', 'auditor']]) {
      expect(policy.decide({ role }, ASKED)).toEqual({ kind: 'allowed', definition: ASKED });
    }
  });

  test.each<[string, Record<string, unknown>, string]>([
    ['a claim is missing', {}, 'items'],
    ['a claim has no value', { app: { tenant: null } }, 'items'],
    ['the table has no rule', { role: 'admin' }, 'secrets'],
    ['the table has the same name in another schema', { role: 'admin' }, 'private.items'],
  ])('allow nothing when %s', (_name, claims, table) => {
    expect(policy.decide(claims, { ...ASKED, table }).kind).toBe('refused');
  });

  test('find a table however it is written', () => {
    for (const table of ['colours', 'public.colours', '"colours"', 'COLOURS']) {
      expect(policy.decide({}, { ...ASKED, table }).kind).toBe('allowed');
    }
  });
});

describe('a grant', () => {
  const policy = policyOf({ rules: [{ table: 'colours' }] });
  const shape = { table: 'items', where: 'tenant = $1', params: { 1: 't-1' }, columns: ['id', 'title'] };
  const granted = {
    ...ASKED,
    where: 'tenant = $1',
    params: { 1: 't-1' },
    columns: ['id', 'title'],
    queryableColumns: ['id', 'title'],
  };

  test('is for the shape that it names, which the request may repeat in full or in part', () => {
    for (const asked of [
      {},
      { table: 'items' },
      { table: 'items', where: 'tenant = $1', params: { 1: 't-1' }, columns: 'id,title' },
    ]) {
      const { table: _table, ...rest } = ASKED;
      expect(policy.decide({ shape }, { ...rest, ...asked })).toEqual({ kind: 'allowed', definition: granted });
    }
  });

  test.each<[string, Partial<DefinitionParams>]>([
    ['table', { table: 'other' }],
    ['where', { where: 'true' }],
    ['params', { params: { 1: 't-2' } }],
    ['columns', { columns: 'id,title,secret' }],
    ['replica', { replica: 'full' }],
    ['log', { log: 'changes_only' }],
    ['queryable_columns', { queryableColumns: 'id,secret' }],
  ])('is for no other: %s', (field, asked) => {
    expect(policy.decide({ shape }, { ...ASKED, ...asked })).toEqual({
      kind: 'refused',
      reason: `the token is for another shape: ${field} differs`,
    });
  });

  test.each([
    null,
    'items',
    [],
    { where: 'true' },
    { table: 'items', wehre: 'tenant = 1' },
    { table: 'items', params: { 1: null } },
  ])('that is malformed allows nothing: %j', (malformed) => {
    expect(policy.decide({ shape: malformed }, ASKED)).toEqual({
      kind: 'refused',
      reason: 'the grant of the token is malformed',
    });
  });

  test('leaves rules aside', () => {
    expect(policy.decide({ shape }, { ...ASKED, table: 'colours' }).kind).toBe('refused');
  });
});
