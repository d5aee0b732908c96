import { startNats, type NatsOptions, type TestServer } from '@shapecast/testkit';
import { afterEach, expect, test } from 'vitest';
import { examineWith } from '../testing/call.ts';
import { checksOf } from './checks.ts';

const running: TestServer[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.stop()));
});

async function nats(options?: NatsOptions): Promise<TestServer> {
  const server = await startNats(options);
  running.push(server);
  return server;
}

async function examine(url: string) {
  const { findings, code, text } = await examineWith({ SHAPECAST_NATS_URL: url });
  const bad = checksOf('nats').flatMap((id) => {
    const finding = findings.get(id);
    return finding?.status === 'ok' ? [] : [`${id} ${finding?.status}`];
  });
  return { findings, code, text, bad };
}

const as = (url: string, login: string) => url.replace('nats://', `nats://${login}@`);

test('a NATS before its first source has nothing to complain of', async () => {
  const { url } = await nats();
  const { bad, code } = await examine(url);
  // Without a stream it tells neither its time nor how many copies there are.
  const unknown = ['nats.replicas', 'nats.stream_fill', 'nats.stream_age', 'nats.clock'];
  expect({ bad, code }).toEqual({ bad: unknown.map((id) => `${id} skipped`), code: 0 });
});

test('looking creates nothing', async () => {
  const { url } = await nats();
  await examine(url);
  expect((await examine(url)).findings.get('nats.buckets')?.message).toBe('There are no registries yet.');
});

test('without JetStream that is the finding, and what needs it is not checked', async () => {
  const plain = await nats({ config: 'accounts { PLAIN { users: [ { user: shapecast, password: hunter2 } ] } }' });
  const { findings, code, text } = await examine(as(plain.url, 'shapecast:hunter2'));
  expect(findings.get('nats.jetstream')).toMatchObject({
    status: 'fail',
    message: 'JetStream is not enabled for this NATS account.',
    next: 'Add "jetstream: enabled" to the account.',
  });
  expect(findings.get('nats.reachable')?.status).toBe('ok');
  expect(findings.get('nats.stream')?.status).toBe('skipped');
  expect(code).toBe(1);
  expect(text).not.toContain('hunter2');
});

test('a small max_payload fails', async () => {
  const { url } = await nats({ config: 'max_payload: 65536' });
  const { findings, code } = await examine(url);
  expect(findings.get('nats.max_payload')).toMatchObject({ status: 'fail', message: 'max_payload is 64.0 KiB.' });
  expect(code).toBe(1);
});

test('a wrong password and a server that is away are one finding each', async () => {
  const server = await nats({ config: 'authorization { user: shapecast, password: correct }' });
  const wrong = await examine(as(server.url, 'shapecast:hunter2'));
  expect(wrong.findings.get('nats.reachable')).toMatchObject({
    status: 'fail',
    message: expect.stringContaining('NATS rejected the user, password, token or credentials') as string,
  });
  expect(wrong.text).not.toContain('hunter2');
  expect((await examine(as(server.url, 'shapecast:correct'))).code).toBe(0);
  await server.kill();
  const away = await examine(as(server.url, 'shapecast:correct'));
  expect(away.findings.get('nats.reachable')).toMatchObject({ status: 'fail' });
  expect(away.bad).toHaveLength(checksOf('nats').length);
  expect([wrong.code, away.code]).toEqual([1, 1]);
});
