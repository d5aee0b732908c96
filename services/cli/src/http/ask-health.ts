export interface HealthAnswer {
  readonly code: number;
  /** `active`, `waiting` or `starting`; `unknown` when it is none of ours that answers. */
  readonly status: string;
}

const STATES: readonly unknown[] = ['active', 'waiting', 'starting'];

/** Asks the API how it is. `url` has no slash at its end. Throws what `fetch` throws, with the cause as its message. */
export async function askHealth(url: string, get: typeof fetch, signal: AbortSignal): Promise<HealthAnswer> {
  const response = await answerOf(() => get(`${url}/v1/health`, { signal }));
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
