import type { Environment } from './config.ts';
import { VARIABLES } from './config-variables.ts';
import type { Logger } from './logger.ts';

/** Something worth saying about a variable that is set. No values: they may be secrets. */
export interface ConfigNotice {
  readonly level: 'warn' | 'notice';
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>> & { readonly variable: string };
}

const OURS = /^(ELECTRIC|SHAPECAST)_/;
/** For tests and measurements, never for services. */
const DEVELOPMENT = /^SHAPECAST_(TEST|BENCH|ORACLE|FUZZ|EDGE)_/;
/** Kubernetes sets these in every pod for a service called `electric` or `shapecast`. */
const SERVICE_LINK = /_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$/;
const ALWAYS_ON = ['allow_subqueries', 'tagged_subqueries'];
const FLAGS = 'ELECTRIC_FEATURE_FLAGS';

/** What to say at start about the environment (spec O 5.1, 5.2): one notice per variable at most, in the order of names. */
export function configNotices(env: Environment): readonly ConfigNotice[] {
  return Object.keys(env)
    .filter((variable) => env[variable] !== undefined && env[variable] !== '')
    .sort()
    .flatMap((variable) => noticeOf(variable, env[variable] as string) ?? []);
}

function noticeOf(variable: string, value: string): ConfigNotice | undefined {
  const known = Object.hasOwn(VARIABLES, variable) ? VARIABLES[variable] : undefined;
  if (known === undefined) return unknown(variable);
  const { use, instead, note } = known;
  const why = note === undefined ? {} : { why: note };
  if (use === 'ignored') return notice('setting is ignored', { variable, ...why });
  if (known.always) return notice('setting is not needed', { variable, ...why });
  if (known.notYet) return notice('setting has no effect yet', { variable, ...why });
  if (instead !== undefined) return notice('setting has a new name', { variable, instead });
  if (variable !== FLAGS) return undefined;
  const flags = value.split(',').map((flag) => flag.trim());
  const others = flags.filter((flag) => flag !== '' && !ALWAYS_ON.includes(flag));
  return others.length === 0 ? undefined : notice('unknown feature flags are ignored', { variable, flags: others });
}

function notice(message: string, fields: ConfigNotice['fields']): ConfigNotice {
  return { level: 'notice', message, fields };
}

function unknown(variable: string): ConfigNotice | undefined {
  if (!OURS.test(variable) || DEVELOPMENT.test(variable) || SERVICE_LINK.test(variable)) return undefined;
  const suggestion = nearest(variable);
  const fields = { variable, ...(suggestion === undefined ? {} : { suggestion }) };
  return { level: 'warn', message: 'unknown setting, it has no effect', fields };
}

/** Typing errors a name may have to be taken for another; the wrong one of the two prefixes counts as one. */
const MAX_ERRORS = 3;

/** The known name that was probably meant. */
function nearest(variable: string): string | undefined {
  let best: { readonly name: string; readonly errors: number } | undefined;
  for (const [name, { use }] of Object.entries(VARIABLES)) {
    if (use === 'ignored') continue;
    const samePrefix = OURS.exec(name)?.[0] === OURS.exec(variable)?.[0];
    const errors = distance(variable.replace(OURS, ''), name.replace(OURS, '')) + (samePrefix ? 0 : 1);
    if (errors <= MAX_ERRORS && errors < (best?.errors ?? Infinity)) best = { name, errors };
  }
  return best?.name;
}

/** Letters to insert, delete or replace to get from one word to the other. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}

/** Writes the notices, once per process. */
export function logConfigNotices(env: Environment, log: Pick<Logger, 'warn'> & { notice: Logger['warn'] }): void {
  for (const { level, message, fields } of configNotices(env)) log[level](fields, message);
}
