import { runCrossTenant } from '../cross-tenant/run.ts';

export interface CrossTenantBenchOptions {
  readonly requests: number;
  readonly runs: number;
}

/** Adversarial requests to a process with several tenants; each run has a seed of its own. Fails on the first thing of another tenant. */
export async function crossTenant(options: CrossTenantBenchOptions): Promise<Readonly<Record<string, unknown>>> {
  const reports: object[] = [];
  for (let run = 1; run <= options.runs; run += 1) {
    const onProgress = (done: number) => void process.stderr.write(`\r${done} requests`);
    const report = await runCrossTenant({ seed: run, requests: options.requests, onProgress });
    process.stderr.write('\n');
    if (report.violations.length > 0) throw new Error(report.violations.join('\n'));
    reports.push(report);
  }
  return { reports };
}
