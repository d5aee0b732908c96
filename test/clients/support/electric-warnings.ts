import { vi } from 'vitest';

/**
 * Collects what the clients have to complain about on the console: each complaint begins with `[Electric]` and means that
 * the service or something in front of it did what the client does not expect.
 */
export function collectWarnings(): readonly string[] {
  const warnings: string[] = [];
  vi.spyOn(console, 'warn').mockImplementation((...args: unknown[]) => void warnings.push(String(args[0])));
  return warnings;
}
