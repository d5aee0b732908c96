import type { Clock } from '@shapecast/service-kit';

const RETRY_MS = 20;
/** Then the shape is made all the same: the owner may be gone, and half a second is a lot for whoever waits for a shape. */
const RETRIES = 25;

/** Makes a shape in a shard whose owner may hold registrations: `attempt` returns undefined while it does, unless told to insist. */
export async function whenNotHeld<T>(clock: Clock, attempt: (insist: boolean) => Promise<T | undefined>): Promise<T> {
  for (let tries = 0; ; tries += 1) {
    const made = await attempt(tries >= RETRIES);
    if (made !== undefined) return made;
    await clock.sleep(RETRY_MS);
  }
}
