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

/** Whether this replicator says that it leads one of many sources. */
export async function reportsLeading(replicator: ServiceProcess, source: string): Promise<boolean> {
  const answer = await probe(`${replicator.url}/health`);
  const { sources } = (answer?.body ?? {}) as { readonly sources?: Readonly<Record<string, unknown>> };
  return statusOf(sources?.[source]) === 'active';
}

/**
 * One sentence for each part of the cluster that does not do its work yet; empty when it can be used. `sources`: where there are
 * many, those that each API process is to answer for.
 */
export async function notReady(processes: readonly ServiceProcess[], sources?: readonly string[]): Promise<string[]> {
  if (sources !== undefined) return (await Promise.all(processes.map((each) => problemOf(each, sources)))).flat();
  const replicators = processes.filter((process) => process.role === 'replicator');
  const others = processes.filter((process) => process.role !== 'replicator');
  const leading = Promise.all(replicators.map(isLeading));
  const problems = await Promise.all(others.map((process) => problemOf(process)));
  const leader = replicators.length === 0 || (await leading).includes(true) ? [] : ['no replicator leads'];
  return [...leader, ...problems.flat()];
}

/** Why this process does not do its work yet, in a sentence; empty when it does. A replicator may stand by. */
export async function problemOf(process: ServiceProcess, sources?: readonly string[]): Promise<string[]> {
  if (process.role === 'api' && sources !== undefined) {
    const problems = (await Promise.all(sources.map((source) => problemWith(process, source)))).flat();
    const [first] = problems;
    if (first === undefined) return [];
    return problems.length === 1 ? [first] : [`${first} and ${problems.length - 1} more`];
  }
  const answer = await probe(`${process.url}${process.role === 'api' ? '/v1/health' : '/ready'}`);
  if (answer?.status === 200) return sourcesFileProblems(process, answer.body);
  if (answer === undefined) return [`${process.name} does not answer`];
  return [`${process.name} is ${statusOf(answer.body) ?? `not ready (${answer.status})`}`];
}

/** Nobody waits for sources that will not come. */
function sourcesFileProblems({ name }: ServiceProcess, body: unknown): string[] {
  const { sourcesFile } = (body ?? {}) as { readonly sourcesFile?: { readonly problems?: readonly string[] } };
  const { problems = [] } = sourcesFile ?? {};
  return problems.length === 0 ? [] : [`${name} refuses the sources file: ${problems.join('; ')}`];
}

async function problemWith(api: ServiceProcess, source: string): Promise<string[]> {
  const answer = await probe(`${api.url}/v1/health?source_id=${encodeURIComponent(source)}`);
  if (answer?.status === 200) return [];
  if (answer === undefined) return [`${api.name} does not answer`];
  return [`${api.name} is ${statusOf(answer.body) ?? `not ready (${answer.status})`} for ${source}`];
}

function statusOf(body: unknown): string | undefined {
  const status = (body as { readonly status?: unknown } | undefined)?.status;
  return typeof status === 'string' ? status : undefined;
}
