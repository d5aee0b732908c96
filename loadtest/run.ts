import { whenNpmGone } from '@shapecast/service-kit';
import { findTool } from '../test/chart/tools.ts';
import { parseLoadtestArguments, USAGE, type LoadtestArguments } from './harness/arguments.ts';
import { baselineOf, compareWith, readBaseline, saveBaseline } from './harness/baseline.ts';
import { runLoadtest } from './harness/loadtest.ts';
import { renderMarkdown } from './report/markdown.ts';

const stopping = new AbortController();
const onSignal = (): void => {
  // The second one is from somebody who does not want to wait; guards end the servers and services.
  if (stopping.signal.aborted) process.exit(130);
  print('stopping');
  stopping.abort(new Error('stopped'));
};
process.on('SIGINT', onSignal);
process.on('SIGTERM', onSignal);
whenNpmGone(process.env, onSignal);

process.exit(await main());

async function main(): Promise<number> {
  const args = read();
  if (typeof args === 'number') return args;
  const k6 = await findTool('k6');
  if (k6 === undefined) return 3;
  try {
    print(
      `${args.scenario}, profile ${args.profile}: starting ${args.given === undefined ? 'an installation' : 'the writer'}`,
    );
    const { result, folder } = await runLoadtest(args, k6, stopping.signal);
    print(renderMarkdown(result));
    print(`Report: ${folder}/report.html`);
    const now = baselineOf(result);
    const before = await readBaseline(result);
    const { lines, worse } =
      before === undefined ? { lines: [], worse: [] } : compareWith(before, now, args.tolerance ?? 0);
    if (before !== undefined)
      print(['', `Compared with ${before.commit} of ${before.finishedAt}:`, ...lines].join('\n'));
    if (args.saveBaseline) print(`Baseline: ${await saveBaseline(now)}`);
    if (args.tolerance !== undefined && worse.length > 0) {
      print(['Worse than the baseline:', ...worse].join('\n'));
      return 1;
    }
    return result.passed ? 0 : 1;
  } catch (error) {
    if (stopping.signal.aborted) return 130;
    print(error instanceof Error ? error.message : String(error));
    return 1;
  }
}

function read(): LoadtestArguments | number {
  try {
    const args = parseLoadtestArguments(process.argv.slice(2), process.env);
    if (args !== undefined) return args;
    print(USAGE);
    return 0;
  } catch (error) {
    print(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    return 2;
  }
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
