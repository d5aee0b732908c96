import type { Config } from './config.ts';
import type { ScenarioName } from './profile.ts';
import { renderHtml } from '../report/html.ts';
import { renderJunit } from '../report/junit.ts';
import { renderMarkdown } from '../report/markdown.ts';
import { resultOf, type SummaryData } from '../report/from-summary.ts';

/** `handleSummary` of a scenario: the same files as the harness writes, which then puts in what only it has seen. */
export function summaryOf(config: Config<ScenarioName>): (data: unknown) => Record<string, string> {
  return (data) => {
    const { scenario, profile, parameters, plan, edgeUrl, resultDir } = config;
    const result = resultOf(data as SummaryData, {
      ...{ scenario, profile, phases: plan.phases },
      parameters: parameters as unknown as Record<string, number>,
      through: edgeUrl === undefined ? 'directly' : 'through the edge',
      finishedAt: new Date().toISOString(),
    });
    // The harness prints it when it has put in the rest.
    if (resultDir === undefined) return { stdout: `\n${renderMarkdown(result)}\n` };
    return {
      [`${resultDir}/result.json`]: JSON.stringify(result, null, 2),
      [`${resultDir}/report.html`]: renderHtml(result),
      [`${resultDir}/summary.md`]: renderMarkdown(result),
      [`${resultDir}/junit.xml`]: renderJunit(result),
    };
  };
}
