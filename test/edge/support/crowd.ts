import { Agent } from 'node:http';
import { send, type RawAnswer, type RawRequest } from '../../conformance/support/http.ts';

/** Clients at a time; the deployment specification's figure is 500 (C12), for which there is an environment variable. */
export const CROWD = Number(process.env['SHAPECAST_TEST_EDGE_CLIENTS'] ?? 200);

/** The same request from many clients at once, each on a connection of its own. */
export async function crowd(
  base: string,
  path: string,
  options: RawRequest & { readonly size?: number } = {},
): Promise<RawAnswer[]> {
  const { size = CROWD, ...request } = options;
  const agent = new Agent({ keepAlive: false, maxSockets: Infinity });
  return Promise.all(Array.from({ length: size }, () => send(base, path, { ...request, agent })));
}

/** The different values among many, for `toEqual([value])`. */
export function distinct<T>(values: readonly T[]): T[] {
  return [...new Set(values)];
}
