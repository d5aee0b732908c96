import { failureOf } from '../doctor/failure.ts';
import { answerOf } from '../http/ask-health.ts';

/** What a process says of itself on its health port, or why it does not. */
export interface ProcessReport {
  readonly url: string;
  readonly status: string | undefined;
  readonly ready: boolean | undefined;
  /** Records, of the shard that is furthest behind; routers only. */
  readonly lag: number | undefined;
  /** One sentence. */
  readonly lastError: string | undefined;
}

/** Asks the health ports. One that does not answer keeps none of the others from it. */
export function askProcesses(
  urls: readonly string[],
  get: typeof fetch,
  signal: AbortSignal,
): Promise<readonly ProcessReport[]> {
  return Promise.all(urls.map((url) => askProcess(url, get, signal)));
}

async function askProcess(url: string, get: typeof fetch, signal: AbortSignal): Promise<ProcessReport> {
  const nothing = { url, status: undefined, ready: undefined, lag: undefined };
  try {
    const response = await answerOf(() => get(`${url}/health`, { signal }));
    const report = (await response.json()) as Readonly<Record<string, unknown>>;
    const { status, ready, lag, lastError } = report;
    return {
      url,
      status: typeof status === 'string' ? status : undefined,
      ready: typeof ready === 'boolean' ? ready : undefined,
      lag: typeof lag === 'number' ? lag : undefined,
      lastError: typeof lastError === 'string' ? lastError : undefined,
    };
  } catch (error) {
    signal.throwIfAborted();
    return { ...nothing, lastError: failureOf(error).message };
  }
}
