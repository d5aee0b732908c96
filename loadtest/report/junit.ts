import type { Result } from './result.ts';
import { escapeXml } from './xml.ts';

/** One test case for each threshold and check, for programs that show test results. */
export function renderJunit({ scenario, profile, thresholds, checks, harness }: Result): string {
  const cases = [
    ...thresholds.map(({ metric, expression, ok }) => ({
      name: `${metric} ${expression}`,
      failure: ok ? undefined : 'does not hold',
    })),
    ...checks.map(({ name, passes, fails }) => ({
      name,
      // A share of 1 in 1000 is what the threshold of all checks allows.
      failure: fails / Math.max(1, passes + fails) > 0.001 ? `${fails} of ${passes + fails} failed` : undefined,
    })),
    ...(harness?.problems ?? []).map((problem) => ({ name: 'harness', failure: problem })),
  ];
  const failures = cases.filter(({ failure }) => failure !== undefined).length;
  const lines = cases.map(({ name, failure }) => {
    const open = `    <testcase classname="${escapeXml(scenario)}" name="${escapeXml(name)}"`;
    return failure === undefined ? `${open}/>` : `${open}><failure message="${escapeXml(failure)}"/></testcase>`;
  });
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<testsuites>',
    `  <testsuite name="${escapeXml(`${scenario} (${profile})`)}" tests="${cases.length}" failures="${failures}">`,
    ...lines,
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n');
}
