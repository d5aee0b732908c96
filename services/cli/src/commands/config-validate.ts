import { parseApiConfig } from '@shapecast/api';
import { isShapecastError } from '@shapecast/errors';
import { parseReplicatorConfig } from '@shapecast/replicator';
import { parseRouterConfig } from '@shapecast/router';
import { configNotices, type ConfigNotice, type Environment } from '@shapecast/service-kit';
import { processEnvironment, registrySources } from '@shapecast/sources';
import { EXIT, textOf, WrongUsage, type Command, type ExitCode, type World } from '../command.ts';
import { readSources } from '../sources/source-file.ts';

type Role = 'api' | 'router' | 'replicator';

const PARSERS: Readonly<Record<Role, (env: Environment) => unknown>> = {
  api: parseApiConfig,
  router: parseRouterConfig,
  replicator: parseReplicatorConfig,
};

export const configValidate: Command = {
  flags: {
    role: { type: 'string', value: 'ROLE', about: 'api, router, replicator or all; all unless given.' },
    sources: { type: 'string', value: 'FILE', about: 'A sources file to check, and nothing else.' },
    json: { type: 'boolean', about: 'Problems and notices as JSON.' },
  },
  async run(values, world) {
    const { env, out } = world;
    const file = textOf(values, 'sources');
    if (file !== undefined) return validateSources(file, values['json'] === true, world);
    const role = textOf(values, 'role') ?? 'all';
    if (role !== 'all' && !isRole(role)) {
      throw new WrongUsage('--role expects api, router, replicator or all.');
    }
    const roles = role === 'all' ? (Object.keys(PARSERS) as Role[]) : [role];
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

function isRole(text: string): text is Role {
  return Object.hasOwn(PARSERS, text);
}

/** As replicators read it, with the files and variables it names, as far as they are here. */
function validateSources(path: string, json: boolean, { env, out }: World): ExitCode {
  const parsed = readSources(path, env, 'sources');
  const problems = parsed.ok ? [] : parsed.problems;
  const sources = parsed.ok ? [...parsed.sources.keys()] : [];
  if (json) out(JSON.stringify({ ok: parsed.ok, problems, sources }, undefined, 2));
  else {
    for (const problem of problems) out(`error   ${problem}`);
    const count = sources.length === 1 ? '1 source' : `${sources.length} sources`;
    out(parsed.ok ? `The sources file is fine: ${count}.` : `${problems.length} problems`);
  }
  return parsed.ok ? EXIT.ok : EXIT.failed;
}

interface Problem {
  /** Begins with its variable; never has its value. */
  readonly problem: string;
  readonly roles: readonly string[];
}

/** One that several roles have is told once. */
function problemsOf(roles: readonly Role[], env: Environment): readonly Problem[] {
  const found = new Map<string, string[]>();
  for (const role of roles) {
    for (const problem of parse(role, env)) found.set(problem, [...(found.get(problem) ?? []), role]);
  }
  return [...found].map(([problem, affected]) => ({ problem, roles: affected }));
}

function parse(role: Role, env: Environment): readonly string[] {
  // Wrong or not, it says which settings there have to be.
  const many = env['SHAPECAST_SOURCES'] === 'registry';
  return [
    ...problemsOfParsing(() => registrySources(role, env)),
    ...problemsOfParsing(() => PARSERS[role](many ? processEnvironment(env) : env)),
  ];
}

function problemsOfParsing(read: () => unknown): readonly string[] {
  try {
    read();
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
