import { afterEach, describe, expect, test } from 'vitest';
import { ApiFixture, change } from './testing/api-fixture.ts';

let fixture: ApiFixture | undefined;
afterEach(async () => {
  await fixture?.stop();
  fixture = undefined;
});

describe('offsets above 2^53', () => {
  test('C114 are compared to the last digit', async () => {
    const api = (fixture = await new ApiFixture({ longPollTimeoutMs: 200 }).start());
    const handle = await api.handle();
    // Neighbours that are one number as doubles; the last one is as large as an LSN can be.
    const lsns = [2n ** 53n, 2n ** 53n + 1n, 2n ** 53n + 2n, 2n ** 63n, 2n ** 63n + 1n, 2n ** 64n - 2n];
    for (const [index, lsn] of lsns.entries()) {
      await api.router.commit([{ lsn, entries: { [handle]: [change(index, lsn)] } }]);
    }
    const after = async (offset: string) => {
      const reply = await api.shape(`offset=${offset}&handle=${handle}`);
      expect(reply.status, reply.text).toBe(200);
      expect(reply.headers['electric-offset']).toBe(`${lsns.at(-1)}_0`);
      return reply.json.flatMap(({ headers }) => (headers.lsn === undefined ? [] : [headers.lsn]));
    };
    for (const [index, lsn] of lsns.entries()) {
      const later = lsns.slice(index + 1).map(String);
      expect(await after(`${lsn}_0`)).toEqual(later);
      expect(await after(`${lsn - 1n}_inf`)).toEqual([String(lsn), ...later]);
    }
    const beyond = await api.shape(`offset=${2n ** 64n - 1n}_0&handle=${handle}`);
    expect(beyond.status).toBe(400);
    expect(beyond.text).toContain('out of bounds for this shape');
  });
});
