import { generateKeyPairSync } from 'node:crypto';
import { SignJWT } from 'jose';
import { AccessPolicy, parsePolicy } from './index.ts';

/** Milliseconds that a token and its rule take: tokens that are new, and the same ones again, as long polls send them. */
const TOKENS = 2_000;
const ASKED = { table: 'items', replica: 'default', log: 'full', compaction: false } as const;

const pairs = {
  ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  EdDSA: generateKeyPairSync('ed25519'),
};

for (const [alg, { publicKey, privateKey }] of Object.entries(pairs)) {
  const parsed = parsePolicy({
    jwt: { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'key' }] },
    rules: [{ table: 'items', where: 'tenant = {claims.tenant}' }],
  });
  if (!parsed.ok) throw new Error(parsed.problems.join());
  const policy = new AccessPolicy(parsed.policy, { now: () => Date.now() });
  const header = { alg, kid: 'key' };
  const tokens = await Promise.all(
    Array.from({ length: TOKENS }, (_, i) =>
      new SignJWT({ tenant: `t${i}` }).setProtectedHeader(header).setExpirationTime('5min').sign(privateKey),
    ),
  );
  for (const round of ['new', 'again']) {
    const times: number[] = [];
    for (const token of tokens) {
      const began = performance.now();
      const who = await policy.authenticate(`Bearer ${token}`);
      if (who.kind !== 'token') throw new Error(who.kind);
      policy.decide(who.claims, ASKED);
      times.push(performance.now() - began);
    }
    times.sort((a, b) => a - b);
    const at = (share: number) => Number(times[Math.floor(share * TOKENS)]?.toFixed(4));
    process.stdout.write(`${JSON.stringify({ alg, tokens: round, medianMs: at(0.5), p99Ms: at(0.99) })}\n`);
  }
}
