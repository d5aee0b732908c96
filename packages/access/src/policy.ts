import { parseTableName, type TableName } from '@shapecast/protocol';
import { z } from 'zod';
import { parseTemplate, type ClauseTemplate } from './template.ts';

/** Signature algorithms that are taken when the policy names none: those with a public key. */
export const PUBLIC_KEY_ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
] as const;
const SHARED_KEY_ALGORITHMS = ['HS256', 'HS384', 'HS512'] as const;

const algorithm = z.enum([...PUBLIC_KEY_ALGORITHMS, ...SHARED_KEY_ALGORITHMS]);
const names = z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]);
const scalar = z.union([z.string(), z.number(), z.boolean()]);
const claimPath = z
  .string()
  .regex(/^[A-Za-z_][\w-]*(\.[A-Za-z_][\w-]*)*$/, 'expected the name of a claim, such as role or app.tenant');

const jwk = z
  .looseObject({ kty: z.enum(['RSA', 'EC', 'OKP', 'oct']), kid: z.string().optional(), alg: algorithm.optional() })
  .refine(
    (key) => key.kty !== 'oct' || key.alg === undefined || key.alg.startsWith('HS'),
    'a key of kty oct is for HS256 and the like',
  )
  .refine((key) => key.kty === 'oct' || !('d' in key), 'this is a private key; only its public part belongs here');

const jwt = z.strictObject({
  jwksUrl: z.url({ protocol: /^https?$/, error: 'expected an http(s) URL' }).optional(),
  keys: z.array(jwk).min(1).optional(),
  algorithms: z.array(algorithm).min(1).optional(),
  issuer: names.optional(),
  audience: names.optional(),
  clockToleranceSeconds: z.number().int().min(0).max(600).default(30),
});

const rule = z.strictObject({
  table: z.string().min(1),
  when: z.record(claimPath, z.union([scalar, z.array(scalar).min(1)])).optional(),
  where: z.string().min(1).optional(),
  columns: z.array(z.string().min(1)).min(1).optional(),
});

const schema = z
  .strictObject({
    jwt,
    grantClaim: claimPath.default('shape'),
    rules: z.array(rule).default([]),
  })
  .superRefine(({ jwt: { jwksUrl, keys, algorithms } }, context) => {
    const issue = (path: (string | number)[], message: string) => context.addIssue({ code: 'custom', path, message });
    if ((jwksUrl === undefined) === (keys === undefined)) issue(['jwt'], 'expected either jwksUrl or keys');
    const shared = algorithms?.filter((name) => name.startsWith('HS')) ?? [];
    if (shared.length > 0 && !keys?.some(({ kty }) => kty === 'oct')) {
      issue(['jwt', 'algorithms'], `${shared.join(', ')} needs a key of kty oct in keys`);
    }
  });

/** Who may see rows of a table, and which. */
export interface Rule {
  readonly table: TableName;
  /** Claims that a token must have for the rule to be about it: one of the values, or an array with one of them. */
  readonly when: readonly {
    readonly path: readonly string[];
    readonly values: readonly (string | number | boolean)[];
  }[];
  readonly template?: ClauseTemplate;
  /** Those that may be seen; all of them when absent. */
  readonly columns?: readonly string[];
}

/** What tokens are taken, and what they allow. */
export interface Policy {
  readonly jwt: z.output<typeof jwt>;
  /** The claim in which a token may name the one shape it is for. */
  readonly grantClaim: readonly string[];
  readonly rules: readonly Rule[];
}

export type ParsedPolicy =
  | { readonly ok: true; readonly policy: Policy }
  /** Each names the field that is wrong. */
  | { readonly ok: false; readonly problems: readonly string[] };

/** Checks a policy as it is written in a file. Values of keys are never repeated in problems. */
export function parsePolicy(value: unknown): ParsedPolicy {
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    return { ok: false, problems: parsed.error.issues.map(({ path, message }) => `${fieldName(path)}: ${message}`) };
  }
  const { jwt: tokens, grantClaim, rules } = parsed.data;
  const problems: string[] = [];
  const checked = rules.flatMap((given, i) => checkRule(given, `rules[${i}]`, problems));
  if (problems.length > 0) return { ok: false, problems };
  return { ok: true, policy: { jwt: tokens, grantClaim: grantClaim.split('.'), rules: checked } };
}

function checkRule(given: z.output<typeof rule>, field: string, problems: string[]): Rule[] {
  const table = parseTableName(given.table);
  if (!table.ok) {
    problems.push(`${field}.table: ${JSON.stringify(given.table)} is no name of a table`);
    return [];
  }
  let template: ClauseTemplate | undefined;
  try {
    template = given.where === undefined ? undefined : parseTemplate(given.where);
  } catch (error) {
    problems.push(`${field}.where: ${(error as Error).message}`);
    return [];
  }
  const when = Object.entries(given.when ?? {}).map(([path, wanted]) => ({
    path: path.split('.'),
    values: Array.isArray(wanted) ? wanted : [wanted],
  }));
  return [
    {
      table: table.value,
      when,
      ...(template && { template }),
      ...(given.columns && { columns: given.columns }),
    },
  ];
}

function fieldName(path: readonly PropertyKey[]): string {
  const text = path.reduce<string>(
    (name, part) =>
      typeof part === 'number' ? `${name}[${part}]` : name === '' ? String(part) : `${name}.${String(part)}`,
    '',
  );
  return text === '' ? 'policy' : text;
}
