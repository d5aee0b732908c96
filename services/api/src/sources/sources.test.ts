import { afterEach, describe, expect, test } from 'vitest';
import { waitFor } from '@shapecast/testkit';
import { systemClock, type Clock } from '@shapecast/service-kit';
import { SOURCES_BUCKET } from '@shapecast/sources';
import { SignJWT } from 'jose';
import { change, until, type Reply } from '../testing/api-fixture.ts';
import { SourcesFixture } from '../testing/sources-fixture.ts';

let fixture: SourcesFixture;
const start = async (...args: ConstructorParameters<typeof SourcesFixture>) =>
  (fixture = await new SourcesFixture(...args).start());
afterEach(() => fixture.stop());

const UNAUTHORIZED = '{"message":"Unauthorized - Invalid API secret"}';
const secretOf = (id: string) => encodeURIComponent(`secret of ${id}`);
/** All of an answer but what differs from one request to the next. */
const comparable = ({ status, headers, text }: Reply) => {
  const { date: _, 'x-request-id': __, ...rest } = headers;
  return { status, headers: rest, text };
};
const held = () => (fixture.api.report() as unknown as { readonly held: number }).held;
const report = () => fixture.api.report() as unknown as { readonly serving: Readonly<Record<string, unknown>> };

describe('the source of a request', () => {
  test('O 4.3 is the one that source_id names', async () => {
    await start();
    await fixture.add('acme');
    await fixture.add('bravo');
    for (const id of ['acme', 'bravo']) {
      const reply = await fixture.shape(id);
      expect(reply.status).toBe(200);
      expect(reply.text).toContain(`${id} one`);
      expect(reply.text).not.toContain(id === 'acme' ? 'bravo' : 'acme');
    }
  });

  test('O 4.3 may be left out while there is one, and not any more when there are two', async () => {
    await start();
    await fixture.add('acme');
    const path = `/v1/shape?table=items&offset=-1&secret=${secretOf('acme')}`;
    expect((await fixture.send(path)).text).toContain('acme one');
    await fixture.add('bravo');
    expect((await fixture.send(path)).status).toBe(401);
    await fixture.declared.setState('bravo', 'removing');
    expect((await fixture.send(path)).text).toContain('acme one');
  });

  test('O 4.3 when it is not there, gone or being removed the answer is that to a wrong secret, byte for byte', async () => {
    await start();
    await fixture.add('acme');
    await fixture.add('gone-one');
    await fixture.add('tokens', {
      access: { jwt: { keys: [{ kty: 'oct', k: Buffer.from('k'.repeat(32)).toString('base64url') }] } },
    });
    await fixture.declared.setState('gone-one', 'removing');
    const queries = [
      'source_id=nobody&secret=x',
      'source_id=gone-one&secret=' + secretOf('gone-one'),
      'source_id=acme&secret=x',
      'source_id=acme',
      'source_id=tokens&secret=x',
      'source_id=tokens',
      'secret=' + secretOf('acme'),
      'source_id=&secret=' + secretOf('acme'),
      'source_id[]=acme&secret=' + secretOf('acme'),
      'source_id[a]=acme&secret=' + secretOf('acme'),
      'source_id=ACME&secret=' + secretOf('acme'),
      'source_id=__proto__&secret=x',
      'source_id=acme&source_id=nobody&secret=' + secretOf('acme'),
    ];
    for (const headers of [{}, { authorization: 'Bearer e30.e30.e30' }] as Record<string, string>[]) {
      for (const method of ['GET', 'HEAD', 'POST', 'DELETE']) {
        const replies = await Promise.all(
          queries.map((query) => fixture.send(`/v1/shape?table=items&offset=-1&${query}`, { method, headers })),
        );
        expect(replies[0]).toMatchObject({ status: 401, text: method === 'HEAD' ? '' : UNAUTHORIZED });
        for (const reply of replies) expect(comparable(reply)).toEqual(comparable(replies[0] as Reply));
      }
    }
  });

  test('tells who has a token of the source what is wrong with it, and nobody else', async () => {
    await start();
    const key = Buffer.from('k'.repeat(32));
    const keys = [{ kty: 'oct', k: key.toString('base64url'), alg: 'HS256' }];
    await fixture.add('acme', { access: { jwt: { keys }, rules: [{ table: 'items' }] } });
    await fixture.add('bravo');
    const token = (expiry: string, by: Uint8Array = key) =>
      new SignJWT({}).setProtectedHeader({ alg: 'HS256' }).setExpirationTime(expiry).sign(by);
    const ask = async (bearer: string, source = 'acme') =>
      fixture.send(`/v1/shape?table=items&offset=-1&source_id=${source}`, {
        headers: { authorization: `Bearer ${bearer}` },
      });
    expect((await ask(await token('5min'))).text).toContain('acme one');
    expect((await ask(await token('-5min'))).text).toContain('the token has expired');
    expect((await ask(await token('5min', Buffer.from('x'.repeat(32))))).text).toBe(UNAUTHORIZED);
    expect((await ask(await token('5min'), 'bravo')).text).toBe(UNAUTHORIZED);
  });

  test('OPTIONS is answered whatever source is named', async () => {
    await start();
    expect((await fixture.send('/v1/shape?source_id=nobody', { method: 'OPTIONS' })).status).toBe(204);
  });

  test('is waited for until the declared sources are known', async () => {
    const late = Promise.withResolvers<void>();
    await start({ readyTimeoutMs: 30_000 }, { late: late.promise });
    await fixture.add('acme');
    const asked = fixture.shape('acme');
    const unknown = fixture.shape('nobody');
    await until(() => (fixture.api.report() as unknown as { readonly inProgress: number }).inProgress === 2);
    late.resolve();
    expect((await asked).text).toContain('acme one');
    expect((await unknown).status).toBe(401);
  });

  test('is answered with 503 when it takes too long to know them', async () => {
    const late = Promise.withResolvers<void>();
    await start({ readyTimeoutMs: 50 }, { late: late.promise });
    const reply = await fixture.shape('acme');
    expect(reply).toMatchObject({ status: 503, headers: { 'retry-after': '5' } });
    expect((await fixture.send('/v1/health')).text).toBe('{"status":"starting"}');
    late.resolve();
  });

  test('O 2.1, 4.5 one that this process cannot read is unavailable, and keeps no other one from being served', async () => {
    const late = Promise.withResolvers<void>();
    await start({ readyTimeoutMs: 30_000 }, { late: late.promise });
    await fixture.add('acme');
    await fixture.add('bravo');
    await fixture.sealAnew('bravo');
    late.resolve();
    expect(await fixture.shape('bravo')).toMatchObject({ status: 503, headers: { 'retry-after': '5' } });
    expect((await fixture.shape('acme')).text).toContain('acme one');
    // There are two, whether both can be read or not.
    expect((await fixture.send(`/v1/shape?table=items&offset=-1&secret=${secretOf('acme')}`)).status).toBe(401);
    const problems = { bravo: expect.any(String) as string };
    expect(fixture.api.report()).toMatchObject({ ready: true, sources: { declared: { active: 1 }, problems } });
  });

  test('one that cannot be read any more is served as it was', async () => {
    await start();
    await fixture.add('acme');
    await fixture.sealAnew('acme');
    expect((await fixture.shape('acme')).text).toContain('acme one');
  });

  test('O 4.4 a handle of another source is an unknown one', async () => {
    await start();
    await fixture.add('acme');
    await fixture.add('bravo');
    const of = async (id: string) => String((await fixture.shape(id)).headers['electric-handle']);
    const [acme, bravo] = [await of('acme'), await of('bravo')];
    const reply = await fixture.shape('bravo', `offset=0_0&handle=${acme}`);
    const invented = await fixture.shape('bravo', 'offset=0_0&handle=123-456');
    expect([reply.status, reply.headers['electric-handle']]).toEqual([409, bravo]);
    expect(comparable(reply)).toEqual(comparable(invented));
  });
});

describe('/v1/health', () => {
  test('O 1.2.1 is about the process, or about the source that is asked for', async () => {
    await start();
    await fixture.add('acme');
    const broken = await fixture.add('bravo');
    await broken.lead(false);
    const health = async (query = '') => {
      const { status, text } = await fixture.send(`/v1/health${query}`);
      return [status, text];
    };
    expect(await health()).toEqual([200, '{"status":"active"}']);
    expect(await health('?source_id=acme')).toEqual([200, '{"status":"active"}']);
    expect(await health('?source_id=bravo')).toEqual([202, '{"status":"waiting"}']);
    expect((await health('?source_id=nobody'))[0]).toBe(404);
    await fixture.declared.setState('acme', 'paused');
    expect(await health('?source_id=acme')).toEqual([202, '{"status":"starting"}']);
    expect(fixture.api.report().ready).toBe(true);
  });
});

describe('a source that changes while the process runs', () => {
  test('is answered from the moment it is declared, and refused from the moment it is removed', async () => {
    await start();
    await fixture.add('bravo');
    expect((await fixture.shape('acme')).status).toBe(401);
    await fixture.add('acme');
    expect((await fixture.shape('acme')).text).toContain('acme one');
    await fixture.declared.setState('acme', 'removing');
    expect((await fixture.shape('acme')).status).toBe(401);
    await fixture.declared.forget('acme');
    expect((await fixture.shape('acme')).status).toBe(401);
  });

  test('is served as it was for a while when its declaration is lost, and then no more', async () => {
    let later = 0;
    let hurries = false;
    const clock: Clock = {
      ...systemClock,
      now: () => systemClock.now() + later,
      after: (ms, callback) => systemClock.after(hurries ? ms / 100 : ms, callback),
    };
    await start({ sourceIdleMs: 50 }, { clock });
    await fixture.add('acme');
    await fixture.add('bravo');
    const registry = await fixture.messaging.registries.open(SOURCES_BUCKET);
    for (const id of ['acme', 'bravo']) expect((await fixture.shape(id)).text).toContain(`${id} one`);
    // The catalog waits for a moment before it says so.
    hurries = true;
    for (const id of ['acme', 'bravo']) await registry.delete(id);
    await waitFor(() => (fixture.api.report().sources as { lost: number }).lost === 2);
    hurries = false;
    for (const id of ['acme', 'bravo']) expect((await fixture.shape(id)).text).toContain(`${id} one`);
    await fixture.add('acme');
    later = 700_000;
    await waitFor(async () => (await fixture.shape('bravo')).status === 401);
    expect((await fixture.shape('acme')).text).toContain('acme one');
  });

  test('is not refused before any was declared', async () => {
    await start();
    expect(await fixture.shape('acme')).toMatchObject({ status: 503, headers: { 'retry-after': '5' } });
    await fixture.add('acme');
    expect((await fixture.shape('acme')).text).toContain('acme one');
  });

  test('has two secrets for as long as both are declared', async () => {
    await start();
    await fixture.add('acme', { secrets: ['one'] });
    const statuses = async () => {
      const replies = await Promise.all(
        ['one', 'two'].map((secret) => fixture.send(`/v1/shape?table=items&offset=-1&source_id=acme&secret=${secret}`)),
      );
      return replies.map(({ status }) => status);
    };
    expect(await statuses()).toEqual([200, 401]);
    await fixture.add('acme', { secrets: ['one', 'two'] });
    expect(await statuses()).toEqual([200, 200]);
    await fixture.add('acme', { secrets: ['two'] });
    expect(await statuses()).toEqual([401, 200]);
  });

  test('when it is paused, those who wait are answered at once, and others go on waiting', async () => {
    await start({ longPollTimeoutMs: 600_000 });
    await fixture.add('acme');
    const router = await fixture.add('bravo');
    const [acme, bravo] = [await fixture.tail('acme'), await fixture.tail('bravo')];
    const asked = [fixture.shape('acme', acme), fixture.shape('bravo', bravo)] as const;
    await until(() => held() === 2);
    await fixture.declared.setState('acme', 'paused');
    const refused = await asked[0];
    expect(refused).toMatchObject({ status: 503, headers: { 'retry-after': '30', 'cache-control': 'no-store' } });
    expect(JSON.parse(refused.text)).toMatchObject({ code: 'source_paused' });
    expect((await fixture.shape('acme')).text).toBe(refused.text);
    expect((await fixture.send('/v1/shape?table=items&offset=-1&source_id=acme&secret=x')).status).toBe(401);
    expect(held()).toBe(1);
    const handle = /handle=([\d-]+)/.exec(bravo)?.[1] as string;
    await router.commit([{ lsn: 1_000n, entries: { [handle]: [change(3, 1_000n)] } }]);
    expect((await asked[1]).status).toBe(200);
    await fixture.declared.setState('acme', 'active');
    expect((await fixture.shape('acme')).status).toBe(200);
  });

  test('when it is removed, those who wait are answered at once as those who come', async () => {
    await start({ longPollTimeoutMs: 600_000 });
    await fixture.add('acme');
    const asked = fixture.shape('acme', await fixture.tail('acme'));
    await until(() => held() === 1);
    await fixture.declared.setState('acme', 'removing');
    expect(await asked).toMatchObject({ status: 401, text: UNAUTHORIZED });
  });

  test('when it is paused, a request that waits for a snapshot is answered at once', async () => {
    await start({ snapshotStartMs: 600_000 });
    const router = await fixture.add('acme');
    router.manual = true;
    const asked = fixture.shape('acme');
    await until(
      async () =>
        (await fixture.store.loadShapes(router.shard(0))).shapes.length +
          (await fixture.store.loadShapes(router.shard(1))).shapes.length ===
        1,
    );
    await fixture.declared.setState('acme', 'paused');
    expect(JSON.parse((await asked).text)).toMatchObject({ code: 'source_paused' });
  });

  test('when it drains, shapes that exist are served, and none is created', async () => {
    await start({ longPollTimeoutMs: 100 });
    await fixture.add('acme');
    const live = await fixture.tail('acme');
    await fixture.declared.setState('acme', 'draining');
    expect((await fixture.shape('acme')).status).toBe(200);
    expect((await fixture.shape('acme', live)).status).toBe(200);
    const refused = await fixture.shape('acme', 'offset=-1&where=id%3D1');
    expect(refused.status).toBe(503);
    expect(JSON.parse(refused.text)).toMatchObject({ code: 'source_draining' });
    await fixture.declared.setState('acme', 'active');
    expect((await fixture.shape('acme', 'offset=-1&where=id%3D1')).status).toBe(200);
  });

  test('takes another access policy, and none any more when it has none', async () => {
    await start();
    const key = Buffer.from('k'.repeat(32));
    const jwt = { keys: [{ kty: 'oct', k: key.toString('base64url'), alg: 'HS256' }] };
    await fixture.add('acme', { access: { jwt, rules: [{ table: 'items' }] } });
    const token = await new SignJWT({}).setProtectedHeader({ alg: 'HS256' }).setExpirationTime('5min').sign(key);
    const ask = async () =>
      (
        await fixture.send('/v1/shape?table=items&offset=-1&source_id=acme', {
          headers: { authorization: `Bearer ${token}` },
        })
      ).status;
    expect(await ask()).toBe(200);
    await fixture.add('acme', { access: { jwt, rules: [] } });
    expect(await ask()).toBe(403);
    await fixture.add('acme', { secrets: ['only'] });
    expect(await ask()).toBe(401);
  });
});

describe('a source that nobody reads', () => {
  test('O 4.8 has nothing running for it, and is there again as soon as somebody asks', async () => {
    await start({ sourceIdleMs: 100 });
    await fixture.add('acme');
    expect(Object.keys(report().serving)).toEqual([]);
    expect((await fixture.shape('acme')).status).toBe(200);
    expect(Object.keys(report().serving)).toEqual(['acme']);
    await waitFor(() => Object.keys(report().serving).length === 0);
    expect((await fixture.shape('acme')).text).toContain('acme one');
  });
});

describe('/v1/authorize', () => {
  test('asks the policy of the source that is named, and passes on which one that is', async () => {
    await start();
    const keyOf = (id: string) => Buffer.from(id.padEnd(32, '.'));
    for (const id of ['acme', 'bravo']) {
      const keys = [{ kty: 'oct', k: keyOf(id).toString('base64url'), alg: 'HS256' }];
      await fixture.add(id, {
        access: { jwt: { keys }, rules: [{ table: 'items', where: 'title = {claims.title}' }] },
      });
    }
    await fixture.add('plain');
    const token = await new SignJWT({ title: 'x' })
      .setProtectedHeader({ alg: 'HS256' })
      .setExpirationTime('5min')
      .sign(keyOf('acme'));
    const ask = (query: string) =>
      fixture.send(`/v1/authorize?table=items&offset=-1&${query}`, { headers: { authorization: `Bearer ${token}` } });
    const allowed = await ask('source_id=bravo&source_id=acme');
    expect(allowed.status).toBe(200);
    const passed = new URLSearchParams(String(allowed.headers['shapecast-query']));
    expect(passed.getAll('source_id')).toEqual(['acme']);
    expect(passed.get('restriction')).toContain('"1":"x"');
    const refused = await Promise.all(['source_id=bravo', 'source_id=nobody', 'source_id=plain', ''].map(ask));
    for (const reply of refused) expect(comparable(reply)).toEqual(comparable(refused[0] as Reply));
    expect(refused[0]?.status).toBe(401);
  });
});

describe('an edge that has asked about the token', () => {
  test('opens every source with its own secret, and none that is not there', async () => {
    await start({ edgeSecrets: ['edge'] });
    await fixture.add('acme');
    await fixture.add('bravo');
    const ask = (id: string) => fixture.send(`/v1/shape?table=items&offset=-1&source_id=${id}&secret=edge`);
    expect((await ask('acme')).text).toContain('acme one');
    expect((await ask('bravo')).text).toContain('bravo one');
    expect(await ask('nobody')).toMatchObject({ status: 401, text: UNAUTHORIZED });
  });
});
