export interface WaitOptions {
  /** A hang detector, so generous; not a claim about speed. Default 60 s. */
  readonly timeoutMs?: number;
  /** What the world looks like when time is over; becomes part of the error. */
  readonly describe?: () => unknown;
  readonly intervalMs?: number;
}

/** Polls until the condition returns something truthy and resolves with it. Errors of the condition are not caught. */
export async function waitFor<T>(
  condition: () => Promise<T> | T,
  options: WaitOptions = {},
): Promise<Exclude<T, false | undefined | null | 0 | ''>> {
  const { timeoutMs = 60_000, intervalMs = 20 } = options;
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (value) return value as Exclude<T, false | undefined | null | 0 | ''>;
    if (performance.now() > deadline) {
      const seen = options.describe?.() ?? String(condition);
      throw new Error(`waited ${timeoutMs} ms in vain: ${typeof seen === 'string' ? seen : JSON.stringify(seen)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, intervalMs));
  }
}
