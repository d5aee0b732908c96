import type { ServiceProcess } from './service-process.ts';

/** Answers a GET with its status and JSON body; undefined when there is no answer within two seconds. */
async function probe(url: string): Promise<{ readonly status: number; readonly body: unknown } | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
    return { status: response.status, body: await response.json().catch(() => undefined) };
  } catch {
    return undefined;
  }
}

/** Whether this replicator streams from Postgres: it reports `active`, a standby reports `waiting`. */
export async function isLeading(replicator: ServiceProcess): Promise<boolean> {
  const answer = await probe(`${replicator.url}/health`);
  return answer?.status === 200 && statusOf(answer.body) === 'active';
}

/** One sentence for each part of the cluster that does not do its work yet; empty when it can be used. */
export async function notReady(processes: readonly ServiceProcess[]): Promise<string[]> {
  const replicators = processes.filter((process) => process.role === 'replicator');
  const others = processes.filter((process) => process.role !== 'replicator');
  const leading = Promise.all(replicators.map(isLeading));
  const problems = await Promise.all(others.map(problemOf));
  const leader = replicators.length === 0 || (await leading).includes(true) ? [] : ['no replicator leads'];
  return [...leader, ...problems.flat()];
}

/** Why this process does not do its work yet, in a sentence; empty when it does. A replicator may stand by. */
export async function problemOf(process: ServiceProcess): Promise<string[]> {
  const answer = await probe(`${process.url}${process.role === 'api' ? '/v1/health' : '/ready'}`);
  if (answer?.status === 200) return [];
  if (answer === undefined) return [`${process.name} does not answer`];
  return [`${process.name} is ${statusOf(answer.body) ?? `not ready (${answer.status})`}`];
}

function statusOf(body: unknown): string | undefined {
  const status = (body as { readonly status?: unknown } | undefined)?.status;
  return typeof status === 'string' ? status : undefined;
}
