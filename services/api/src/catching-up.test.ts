import { encodeRecord, type Lsn } from '@shapecast/log';
import { afterEach, describe, expect, test } from 'vitest';
import { ApiFixture, change, until } from './testing/api-fixture.ts';

let fixture: ApiFixture | undefined;
afterEach(async () => {
  await fixture?.stop();
  fixture = undefined;
});

/** An API whose shard stands at 100, and a tx stream that ends at 500: what the store of a shard looks like after it went back. */
async function behind() {
  const api = (fixture = await new ApiFixture({ longPollTimeoutMs: 1_000 }).start());
  const handle = await api.handle();
  await api.router.commit([{ lsn: 100n, entries: { [handle]: [change(1, 100n)] } }]);
  const id = { source: api.source, incarnation: 1 };
  const stream = (await api.messaging.txStreams.open(id)) ?? (await api.messaging.txStreams.create(id));
  const prev = { position: { lsn: 500n as Lsn, op: 0 }, progressLsn: 0n as Lsn };
  const record = { incarnation: 1, epoch: 1, prev, kind: 'leader' as const, holder: 'test' };
  await stream.publish(encodeRecord(record), { expectedLastSeq: 0, msgId: 'one' });
  return { api, handle };
}

describe('R 14.6 an offset that the shard has not come to', () => {
  test.each(['', '&live=true'])('is to be asked for again later where the stream has it%s', async (live) => {
    const { api, handle } = await behind();
    const reply = await api.shape(`offset=400_0${live}&handle=${handle}`);
    expect([reply.status, reply.json]).toEqual([503, { message: expect.stringContaining('catching up') as string }]);
    expect(Number(reply.headers['retry-after'])).toBeGreaterThan(0);
    expect(reply.headers['cache-control']).toBe('no-store');
    expect((await api.shape(`offset=500_0&handle=${handle}`)).status).toBe(503);
  });

  test('is wrong where the stream does not have it either', async () => {
    const { api, handle } = await behind();
    const reply = await api.shape(`offset=501_0&handle=${handle}`);
    expect([reply.status, reply.text]).toEqual([400, expect.stringContaining('out of bounds for this shape')]);
  });

  test('is answered as soon as the shard comes to it', async () => {
    const { api, handle } = await behind();
    const asked = api.shape(`offset=400_0&handle=${handle}`);
    await until(() => api.api.report()['inProgress'] === 1);
    await api.router.commit([{ lsn: 400n, entries: { [handle]: [change(2, 400n)] } }]);
    await api.router.commit([{ lsn: 450n, entries: { [handle]: [change(3, 450n)] } }]);
    const reply = await asked;
    expect([reply.status, reply.headers['electric-offset']]).toEqual([200, '450_0']);
  });
});
