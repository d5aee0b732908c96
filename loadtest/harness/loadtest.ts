import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parametersOf } from '../lib/profiles.ts';
import { planOf } from '../lib/plans.ts';
import type { WriterState } from '../lib/reports.ts';
import { renderHtml } from '../report/html.ts';
import { renderJunit } from '../report/junit.ts';
import { renderMarkdown } from '../report/markdown.ts';
import type { HarnessResult, Result } from '../report/result.ts';
import type { LoadtestArguments } from './arguments.ts';
import { startK6, startWriter } from './children.ts';
import { openInstallation } from './installation.ts';
import { ProcessSamples } from './process-samples.ts';
import { provenance } from './provenance.ts';
import { verify } from './verify.ts';

const RESULTS = fileURLToPath(new URL('../results', import.meta.url));
/** k6 says so of a threshold that does not hold. */
const THRESHOLD_EXIT = 99;

const MOST_LOG_CHARACTERS = 4_000;

export interface Outcome {
  readonly result: Result;
  readonly folder: string;
}

/**
 * One run from nothing to the files of its result: installation, writer, k6, and what only the harness can see. Whatever it started is
 * gone when it settles, also when `signal` aborts.
 */
export async function runLoadtest(args: LoadtestArguments, k6: string, signal: AbortSignal): Promise<Outcome> {
  const { scenario, profile, sets } = args;
  const plan = planOf(scenario, parametersOf(scenario, profile, sets));
  const folder = join(
    args.results ?? RESULTS,
    `${scenario}-${profile}-${new Date().toISOString().replaceAll(/[:.]/g, '-')}`,
  );
  await mkdir(folder, { recursive: true });
  // Before the run, so that it names the program that was measured and not one that was edited meanwhile.
  const measuredOn = await provenance(k6);
  const started: (() => Promise<void>)[] = [];
  try {
    const installation = await openInstallation(args, plan, signal);
    started.push(() => installation.stop());
    const writer = await startWriter(args, installation.targets);
    started.push(() => writer.stop());
    signal.throwIfAborted();
    const through = args.edge === undefined && !plan.edge ? undefined : installation.edgeUrl;
    const load = startK6(k6, scenario, join(folder, 'k6.log'), {
      PROFILE: profile,
      SET: sets,
      RESULT_DIR: folder,
      BASE_URL: installation.url,
      WRITER_URL: writer.url,
      SECRETS: JSON.stringify(Object.fromEntries(installation.targets.map(({ source, secret }) => [source, secret]))),
      ...(through === undefined ? {} : { EDGE_URL: through }),
    });
    started.push(() => load.stop());
    const samples = new ProcessSamples(() => [
      ...installation.processes(),
      { name: 'k6', pid: load.pid },
      { name: 'writer', pid: writer.pid },
    ]);
    samples.start();
    const code = await Promise.race([load.exit, writer.failed, aborted(signal)]);
    const processes = samples.stop();
    const result = await k6Result(folder, code);
    const state = await ask<WriterState>(writer.url, '/state');
    const figures = await ask<Pick<HarnessResult, 'writer' | 'series' | 'lastReader'>>(writer.url, '/figures');
    const verified = await verify(installation.url, plan, installation.targets);
    const problems = [
      ...(code === 0 || code === THRESHOLD_EXIT ? [] : [`k6 ended with ${code}`]),
      ...(state.problem === undefined ? [] : [`the writer failed: ${state.problem}`]),
      ...(verified.differences.length === 0 ? [] : [`${verified.differences.length} differences to SELECT`]),
      ...(figures.writer.dropped === 0 ? [] : [`${figures.writer.dropped} rows were not written in time`]),
    ];
    const whole = {
      ...result,
      passed: result.passed && code === 0 && problems.length === 0,
      harness: { ...measuredOn, ...figures, processes, verified, problems },
    };
    await writeFiles(folder, whole);
    return { result: whole, folder };
  } finally {
    for (const stop of started.reverse()) await stop();
  }
}

async function k6Result(folder: string, code: number): Promise<Result> {
  const text = await readFile(join(folder, 'result.json'), 'utf8').catch(() => undefined);
  if (text === undefined) {
    const log = await readFile(join(folder, 'k6.log'), 'utf8').catch(() => '');
    throw new Error(`k6 ended with ${code} and left no result. It wrote:\n${log.slice(-MOST_LOG_CHARACTERS)}`);
  }
  return JSON.parse(text) as Result;
}

async function writeFiles(folder: string, result: Result): Promise<void> {
  await Promise.all([
    writeFile(join(folder, 'result.json'), `${JSON.stringify(result, null, 2)}\n`),
    writeFile(join(folder, 'report.html'), renderHtml(result)),
    writeFile(join(folder, 'summary.md'), renderMarkdown(result)),
    writeFile(join(folder, 'junit.xml'), renderJunit(result)),
  ]);
}

async function ask<T>(url: string, path: string): Promise<T> {
  const response = await fetch(`${url}${path}`);
  if (!response.ok) throw new Error(`the writer answers ${path} with ${response.status}: ${await response.text()}`);
  return (await response.json()) as T;
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const stop = (): void => reject(signal.reason as Error);
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
  });
}
