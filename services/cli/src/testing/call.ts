import { systemClock, type Environment } from '@shapecast/service-kit';
import type { Finding } from '../doctor/finding.ts';
import { run } from '../run.ts';

/** What a command wrote, and the exit code. */
export interface Called {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command in this process with nothing in its environment but `env`. */
export async function call(args: readonly string[], env: Environment = {}, get: typeof fetch = fetch): Promise<Called> {
  const [out, err]: [string[], string[]] = [[], []];
  const code = await run(args, {
    env,
    clock: systemClock,
    fetch: get,
    signal: new AbortController().signal,
    colours: false,
    out: (text) => void out.push(text),
    err: (text) => void err.push(text),
  });
  return { code, out: out.join('\n'), err: err.join('\n') };
}

/** Runs `doctor` and answers its findings by id. */
export async function examineWith(env: Environment, args: readonly string[] = []) {
  const { code, out, err } = await call(['doctor', '--json', ...args], env);
  if (out === '') throw new Error(`doctor wrote nothing but: ${err}`);
  const { ok, findings } = JSON.parse(out) as { readonly ok: boolean; readonly findings: readonly Finding[] };
  return { code, ok, text: out, findings: new Map(findings.map((finding) => [finding.id, finding])) };
}
