import { askHealth, type HealthPlace } from '../http/ask-health.ts';
import { failureOf } from './failure.ts';
import { fail, ok, warn, type Finding } from './finding.ts';

export async function judgeApi(
  place: HealthPlace,
  get: typeof fetch,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const id = 'api.health';
  try {
    const { code, status } = await askHealth(place, get, signal);
    if (code === 200) return [ok(id, `The API is ${status}.`)];
    if (code === 202) {
      const next = 'Look at the conditions in GET /health of the health port of each process: docs/troubleshooting.md.';
      return [warn(id, `The API answers, and is ${status}.`, next)];
    }
    if (code === 404 && place.sourceId !== undefined) {
      const next = 'Correct --source-id, or declare the source; shapecast sources list has those that there are.';
      return [fail(id, 'The API knows no source of this id.', next)];
    }
    return [fail(id, `GET /v1/health answered ${code}.`, 'Correct --api, or look at the log of the API.')];
  } catch (error) {
    signal.throwIfAborted();
    return [fail(id, `The API did not answer: ${failureOf(error).message}`, 'Start the API, or correct --api.')];
  }
}
