export interface HealthAnswer {
  readonly code: number;
  /** `active`, `waiting` or `starting`; `unknown` when it is none of ours that answers. */
  readonly status: string;
}

const STATES: readonly unknown[] = ['active', 'waiting', 'starting'];

/** Of the API, without a slash at its end; and whose health is asked for, where there are several sources. */
export interface HealthPlace {
  readonly url: string;
  readonly sourceId: string | undefined;
}

/** Asks the API how it is. Throws what `fetch` throws, with the cause as its message. */
export async function askHealth(
  { url, sourceId }: HealthPlace,
  get: typeof fetch,
  signal: AbortSignal,
): Promise<HealthAnswer> {
  const query = sourceId === undefined ? '' : `?source_id=${encodeURIComponent(sourceId)}`;
  const response = await answerOf(() => get(`${url}/v1/health${query}`, { signal }));
  const text = await response.text();
  return { code: response.status, status: stateOf(text) };
}

function stateOf(text: string): string {
  try {
    const { status } = JSON.parse(text) as { readonly status?: unknown };
    return STATES.includes(status) ? (status as string) : 'unknown';
  } catch {
    return 'unknown';
  }
}

/** `fetch` says only that it failed; why is in the cause. */
export async function answerOf(request: () => Promise<Response>): Promise<Response> {
  try {
    return await request();
  } catch (error) {
    const cause = error instanceof Error ? error.cause : undefined;
    if (!(cause instanceof Error)) throw error;
    const { code } = cause as { readonly code?: string };
    throw new Error(cause.message || code || 'the connection failed', { cause: error });
  }
}
