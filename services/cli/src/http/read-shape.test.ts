import { systemClock } from '@shapecast/service-kit';
import { expect, test } from 'vitest';
import { readShape } from './read-shape.ts';

interface Canned {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

const HEAD = { 'electric-handle': '1-1', 'electric-offset': '0_0' };
const UP_TO_DATE = { ...HEAD, 'electric-offset': '5_0', 'electric-cursor': '7', 'electric-up-to-date': '' };
const row = (key: string, operation = 'insert') => ({ key, value: {}, headers: { operation } });
const END = { headers: { control: 'up-to-date' } };
const LIVE: Canned = { headers: UP_TO_DATE, body: [END] };

/** Answers requests one after the other, and remembers their parameters. */
async function read(answers: readonly Canned[]) {
  const asked: URLSearchParams[] = [];
  const waiting = [...answers];
  const get = (async (input: string) => {
    asked.push(new URL(input).searchParams);
    const { status = 200, headers = {}, body = [] } = waiting.shift() ?? { status: 500 };
    return new Response(status === 204 ? null : JSON.stringify(body), { status, headers });
  }) as typeof fetch;
  const clock = { ...systemClock, sleep: async () => {} };
  const address = { url: 'http://api', parameters: { table: 't' }, secret: 's' };
  const reading = await readShape(address, { clock, fetch: get }, new AbortController().signal);
  return { ...reading, asked };
}

test('a shape is read to its end and followed by one live request with handle, offset and cursor', async () => {
  const first = { headers: { ...HEAD, 'cache-control': 'public, max-age=60' }, body: [row('a'), row('b')] };
  const second = { headers: UP_TO_DATE, body: [row('b', 'update'), row('a', 'delete'), END] };
  const { problem, rows, steps, asked } = await read([first, second, LIVE]);
  expect({ problem, rows, kinds: steps.map(({ kind }) => kind) }).toEqual({
    problem: undefined,
    rows: 1,
    kinds: ['initial', 'catch-up', 'live'],
  });
  expect(steps[0]?.caching).toEqual({ 'cache-control': 'public, max-age=60' });
  expect(Object.fromEntries(asked[2] ?? [])).toEqual({
    ...{ table: 't', secret: 's', handle: '1-1' },
    ...{ offset: '5_0', live: 'true', cursor: '7' },
  });
});

test('a shape that starts over is read from its new beginning', async () => {
  const again = { status: 409, headers: { 'electric-handle': '2-2' }, body: [] };
  const { problem, rows, rotations, asked } = await read([
    { headers: HEAD, body: [row('a')] },
    again,
    { headers: UP_TO_DATE, body: [row('b'), END] },
    LIVE,
  ]);
  expect({ problem, rows, rotations }).toEqual({ problem: undefined, rows: 1, rotations: 1 });
  expect([asked[2]?.get('handle'), asked[2]?.get('offset')]).toEqual(['2-2', '-1']);
});

test('a 503 is asked again', async () => {
  const { problem, steps } = await read([{ status: 503, headers: { 'retry-after': '5' } }, LIVE, LIVE]);
  expect({ problem, codes: steps.map(({ code }) => code) }).toEqual({ problem: undefined, codes: [503, 200, 200] });
});

test.each<[string, readonly Canned[], string]>([
  ['an error', [{ status: 400, body: { message: 'no such table' } }], 'The API answered 400: no such table'],
  ['another program', [{ headers: {}, body: [] }], 'is this the API?'],
  ['no list', [{ headers: UP_TO_DATE, body: {} }], 'The answer is no list of messages.'],
  ['an offset that does not move', [{ headers: HEAD }, { headers: HEAD }], 'answered offset 0_0 twice'],
  ['endless rotation', Array.from({ length: 9 }, () => ({ status: 409 })), 'started over again and again'],
])('%s is a problem', async (_, answers, expected) => {
  expect((await read(answers)).problem).toContain(expected);
});
