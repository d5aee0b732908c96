import { parseApiConfig } from '@shapecast/api';
import { isShapecastError } from '@shapecast/errors';
import { parseReplicatorConfig } from '@shapecast/replicator';
import { parseRouterConfig } from '@shapecast/router';
import { configNotices, type ConfigNotice, type Environment } from '@shapecast/service-kit';
import { EXIT, textOf, WrongUsage, type Command } from '../command.ts';

const PARSERS: Readonly<Record<string, (env: Environment) => unknown>> = {
  api: parseApiConfig,
  router: parseRouterConfig,
  replicator: parseReplicatorConfig,
};

export const configValidate: Command = {
  flags: {
    role: { type: 'string', value: 'ROLE', about: 'api, router, replicator or all; all unless given.' },
    json: { type: 'boolean', about: 'Problems and notices as JSON.' },
  },
  async run(values, { env, out }) {
    const role = textOf(values, 'role') ?? 'all';
    if (role !== 'all' && !Object.hasOwn(PARSERS, role)) {
      throw new WrongUsage('--role expects api, router, replicator or all.');
    }
    const roles = role === 'all' ? Object.keys(PARSERS) : [role];
    const problems = problemsOf(roles, env);
    const notices = configNotices(env);
    if (values['json'] === true) out(JSON.stringify({ ok: problems.length === 0, problems, notices }, undefined, 2));
    else {
      for (const { problem, roles: affected } of problems) out(`error   ${problem} (${affected.join(', ')})`);
      for (const notice of notices) out(`notice  ${textOfNotice(notice)}`);
      out(problems.length === 0 ? `The settings of ${roles.join(', ')} can be read.` : `${problems.length} problems`);
    }
    return problems.length === 0 ? EXIT.ok : EXIT.failed;
  },
};

interface Problem {
  /** Begins with its variable; never has its value. */
  readonly problem: string;
  readonly roles: readonly string[];
}

/** One that several roles have is told once. */
function problemsOf(roles: readonly string[], env: Environment): readonly Problem[] {
  const found = new Map<string, string[]>();
  for (const role of roles) {
    for (const problem of parse(role, env)) found.set(problem, [...(found.get(problem) ?? []), role]);
  }
  return [...found].map(([problem, affected]) => ({ problem, roles: affected }));
}

function parse(role: string, env: Environment): readonly string[] {
  try {
    PARSERS[role]?.(env);
    return [];
  } catch (error) {
    if (!isShapecastError(error, 'INVALID_CONFIG')) throw error;
    return error.details['problems'] as readonly string[];
  }
}

function textOfNotice({ message, fields }: ConfigNotice): string {
  const { variable, ...rest } = fields;
  const more = Object.entries(rest).map(
    ([name, value]) => `${name}: ${Array.isArray(value) ? value.join(', ') : String(value)}`,
  );
  return `${variable}: ${message}${more.length === 0 ? '' : ` (${more.join('; ')})`}`;
}
