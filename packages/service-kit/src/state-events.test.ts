import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Clock } from './clock.ts';
import type { Logger } from './logger.ts';
import { emitEvent, StateEventTap, type StateEventName } from './state-events.ts';
import { withoutCredentials } from './without-credentials.ts';

interface Line {
  readonly level: string;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

function recorder(): { log: Logger; lines: Line[] } {
  const lines: Line[] = [];
  const at = (level: string) => (fields: object, message: string) =>
    void lines.push({ level, fields: { ...fields }, message });
  const log: Logger = { error: at('error'), warn: at('warn'), info: at('info'), debug: at('debug'), child: () => log };
  return { log, lines };
}

function setUp() {
  let now = 0;
  const clock: Clock = { now: () => now, sleep: async () => {}, after: () => () => {}, random: () => 0 };
  const { log, lines } = recorder();
  const tap = new StateEventTap(clock);
  const sent: unknown[] = [];
  const connect = () => tap.connect((payload) => sent.push(JSON.parse(new TextDecoder().decode(payload))));
  return {
    tap,
    log: tap.tap(log, { service: 'router', instance: 'r1' }),
    lines,
    sent,
    connect,
    pass: (ms: number) => (now += ms),
  };
}

describe('a state event', () => {
  test('is a log line with its own text, a count, and a message to whoever listens', () => {
    const { tap, log, lines, sent, connect } = setUp();
    connect();
    const shard = log.child({ source: 's', shard: 3, password: 'p' });
    emitEvent(shard, 'stream_gap', { shard: 3, from: 5, to: 9 });
    const fields = { event: 'stream_gap', shard: 3, from: 5, to: 9 };
    expect(lines).toEqual([
      { level: 'error', fields, message: 'tx stream has a gap, rotating the shapes of the shard' },
    ]);
    expect(sent).toEqual([
      {
        at: '1970-01-01T00:00:00.000Z',
        text: 'tx stream has a gap, rotating the shapes of the shard',
        service: 'router',
        instance: 'r1',
        source: 's',
        ...fields,
      },
    ]);
    expect(tap.counts).toEqual({ stream_gap: 1 });
  });

  test('is a log line alone before anybody listens, and when the listener fails', () => {
    const { tap, log, lines, sent } = setUp();
    emitEvent(log, 'connection_lock_acquired', {});
    tap.connect(() => {
      throw new Error('gone');
    });
    emitEvent(log, 'ready', {});
    expect([lines.length, sent.length]).toEqual([2, 0]);
  });

  test('of an incarnation is good news the first time and a warning later', () => {
    const { log, lines } = setUp();
    emitEvent(log, 'incarnation_changed', { from: undefined, to: 1, reason: 'first' });
    emitEvent(log, 'incarnation_changed', { from: 1, to: 2, reason: 'slot_lost' });
    expect(lines.map(({ level }) => level)).toEqual(['info', 'warn']);
  });

  test('holds only its own plain fields when it leaves the process', () => {
    const { log, sent, connect } = setUp();
    connect();
    const err = new Error('boom');
    log.warn({ event: 'warning', type: 't', message: 'm', err, row: { secret: 1 }, sourceUrl: 'x' }, 'text');
    expect(sent).toEqual([
      {
        at: '1970-01-01T00:00:00.000Z',
        text: 'text',
        service: 'router',
        instance: 'r1',
        event: 'warning',
        type: 't',
        message: 'm',
      },
    ]);
  });

  test('has no credentials, neither in the log nor in the message', () => {
    const { log, lines, sent, connect } = setUp();
    connect();
    const error = 'cannot reach postgresql://me:hunter2@db/app with password=hunter2';
    emitEvent(log, 'connection_error', { error, type: 'x', message: error, totalRetryMs: 0 });
    expect(JSON.stringify([lines, sent])).not.toContain('hunter2');
    expect(JSON.stringify(sent)).toContain('postgresql://***@db/app');
  });

  test('T58 that comes in masses is thinned out, and says by how much', () => {
    const { tap, log, lines, sent, connect, pass } = setUp();
    connect();
    const rotate = (n: number) => {
      for (let i = 0; i < n; i += 1) emitEvent(log, 'shape_rotated', { handle: `h${i}`, reason: 'r' });
    };
    rotate(100);
    expect([lines.length, sent.length]).toEqual([10, 10]);
    pass(1_000);
    rotate(1);
    expect(lines.at(-1)?.fields).toMatchObject({ event: 'shape_rotated', omitted: 90 });
    pass(1_000);
    rotate(1);
    expect(lines.at(-1)?.fields).not.toHaveProperty('omitted');
    expect(tap.omitted).toBe(90);
    expect(tap.counts).toEqual({ shape_rotated: 102 });
  });
});

test('a line that only looks like an event passes unchanged', () => {
  const { tap, log, lines } = setUp();
  log.info({ event: 'toString' as StateEventName }, 'x');
  log.debug({ event: 'ready' }, 'y');
  expect(lines.map(({ message }) => message)).toEqual(['x', 'y']);
  expect(tap.counts).toEqual({});
});

describe('withoutCredentials', () => {
  const word = fc.stringMatching(/^[A-Za-z0-9!$%^*()_+.~-]{4,12}$/).map((text) => `S3cret${text}`);

  test('leaves nothing of what stands before the @ of a URL', () => {
    fc.assert(
      fc.property(fc.constantFrom('postgresql', 'nats', 'rediss'), word, word, (scheme, user, pass) => {
        const text = withoutCredentials(`failed: ${scheme}://${user}:${pass}@host:1/db, and ${scheme}://${pass}@host`);
        expect(text).toBe(`failed: ${scheme}://***@host:1/db, and ${scheme}://***@host`);
      }),
    );
  });

  test('leaves nothing of named secrets', () => {
    fc.assert(
      fc.property(fc.constantFrom('password', 'secret', 'token', 'PGPASSWORD'), word, (name, value) => {
        for (const text of [`${name}=${value}`, `${name}: '${value} ${value}'`, `host=a ${name} = "${value}" user=b`]) {
          expect(withoutCredentials(text)).not.toContain('S3cret');
        }
      }),
    );
  });

  test('leaves ordinary sentences alone', () => {
    const text = 'connect ECONNREFUSED 127.0.0.1:5432, see https://example.org/a?b=c';
    expect(withoutCredentials(text)).toBe(text);
  });
});
