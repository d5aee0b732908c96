import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Result } from '../report/result.ts';

/** The figures of a run that later ones are compared with, and what they were measured on. Committed. */
export interface Baseline {
  readonly scenario: string;
  readonly profile: string;
  readonly through: string;
  readonly commit: string;
  readonly finishedAt: string;
  readonly machine: Readonly<Record<string, string | number>>;
  readonly parameters: Readonly<Record<string, number>>;
  /** Milliseconds; lower is better. */
  readonly figures: Readonly<Record<string, number>>;
}

/** A millisecond more or less is no news, whatever share of the figure it is. */
const NOISE_MS = 10;

function baselineFile({ scenario, profile }: Pick<Result, 'scenario' | 'profile'>): string {
  return fileURLToPath(new URL(`../baseline/${scenario}.${profile}.json`, import.meta.url));
}

export function baselineOf({ scenario, profile, through, finishedAt, parameters, metrics, harness }: Result): Baseline {
  const figures: Record<string, number> = {};
  for (const [name, { type, values }] of Object.entries(metrics)) {
    if (type !== 'trend' || !name.startsWith('shape_') || name === 'shape_poll_wait' || !values['count']) continue;
    for (const key of ['med', 'p(95)', 'p(99)']) figures[`${name} ${key}`] = Math.round((values[key] ?? 0) * 10) / 10;
  }
  for (const { kind, p50Ms, p99Ms } of harness?.lastReader ?? []) {
    figures[`last reader ${kind} med`] = p50Ms;
    figures[`last reader ${kind} p(99)`] = p99Ms;
  }
  const { commit = 'unknown', machine = {} } = harness ?? {};
  return { scenario, profile, through, commit, finishedAt, machine, parameters, figures };
}

export async function saveBaseline(baseline: Baseline): Promise<string> {
  const file = baselineFile(baseline);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, `${JSON.stringify(baseline, null, 2)}\n`);
  return file;
}

/** Undefined where nobody has kept one. */
export async function readBaseline(of: Pick<Result, 'scenario' | 'profile'>): Promise<Baseline | undefined> {
  const text = await readFile(baselineFile(of), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as Baseline);
}

/** One line for each figure that both have; `worse` says which are beyond the tolerance. */
export function compareWith(
  baseline: Baseline,
  now: Baseline,
  tolerance: number,
): { lines: string[]; worse: string[] } {
  const lines: string[] = [];
  const worse: string[] = [];
  if (JSON.stringify(baseline.parameters) !== JSON.stringify(now.parameters) || baseline.through !== now.through) {
    return { lines: ['The baseline was measured with other parameters: not compared.'], worse };
  }
  for (const [name, before] of Object.entries(baseline.figures)) {
    const after = now.figures[name];
    if (after === undefined) continue;
    const change =
      before === 0 ? '' : ` (${after >= before ? '+' : ''}${Math.round((100 * (after - before)) / before)} %)`;
    const line = `${name}: ${before} -> ${after} ms${change}`;
    lines.push(line);
    if (after > before * (1 + tolerance) + NOISE_MS) worse.push(line);
  }
  return { lines, worse };
}
