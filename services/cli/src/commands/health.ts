import { Backoff } from '@shapecast/service-kit';
import { EXIT, requiredText, secondsOf, textOf, urlOf, type Command, type World } from '../command.ts';
import { failureOf } from '../doctor/failure.ts';
import { askHealth, type HealthPlace } from '../http/ask-health.ts';
import { SOURCE_FLAG } from '../sources/one-source.ts';

const ASK_TIMEOUT_MS = 10_000;

export const health: Command = {
  flags: {
    api: { type: 'string', value: 'URL', about: 'Address of the API; required.' },
    wait: { type: 'string', value: 'SECONDS', about: 'How long to wait until it is active; not at all unless given.' },
    'allow-202': { type: 'boolean', about: 'Waiting and starting will do, as they have to for readiness probes.' },
    ...SOURCE_FLAG,
  },
  async run(values, world) {
    requiredText(values, 'api');
    const place = { url: urlOf(values, 'api') as string, sourceId: textOf(values, 'source-id') };
    const { clock, signal } = world;
    const waitMs = secondsOf(values, 'wait', 0);
    const deadline = clock.now() + waitMs;
    const backoff = new Backoff(clock, { minMs: 100, maxMs: 1_000 });
    for (;;) {
      const answer = await ask(place, world);
      if (answer.code === 200 || (answer.code === 202 && values['allow-202'] === true)) {
        world.out(answer.text);
        return EXIT.ok;
      }
      if (clock.now() >= deadline) {
        world.err(answer.text);
        return EXIT.failed;
      }
      await backoff.wait(signal);
    }
  },
};

async function ask(place: HealthPlace, { clock, fetch: get, signal }: World): Promise<{ code: number; text: string }> {
  const late = new AbortController();
  const cancel = clock.after(ASK_TIMEOUT_MS, () => late.abort(new Error('the API did not answer in time')));
  try {
    const { code, status } = await askHealth(place, get, AbortSignal.any([signal, late.signal]));
    return { code, text: code === 200 || code === 202 ? status : `GET /v1/health answered ${code}` };
  } catch (error) {
    signal.throwIfAborted();
    return { code: 0, text: `The API did not answer: ${failureOf(error).message}` };
  } finally {
    cancel();
  }
}
