import { describe, expect, test } from 'vitest';
import { SessionGate } from './session-gate.ts';

const never = new AbortController().signal;

/** A session that lasts until it is ended, and the order in which things happen. */
function sessions(gate: SessionGate) {
  const events: string[] = [];
  const session = (name: string) => async (signal: AbortSignal) => {
    events.push(`${name} begins`);
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    // It takes a moment to let go.
    await new Promise((resolve) => setImmediate(resolve));
    events.push(`${name} ends`);
  };
  return { events, run: (name: string, signal = never) => gate.pass(session(name), signal) };
}

describe('the gate before the sessions of a replicator', () => {
  test('closing it ends the session that there is, and the next one begins when it is open again', async () => {
    const gate = new SessionGate();
    const { events, run } = sessions(gate);
    const first = run('first');
    await new Promise((resolve) => setImmediate(resolve));
    const open = await gate.close('too much');
    events.push('closed');
    await first;
    expect(gate.closedBecause).toBe('too much');
    const stop = new AbortController();
    const second = run('second', stop.signal);
    await new Promise((resolve) => setImmediate(resolve));
    expect(events).toEqual(['first begins', 'first ends', 'closed']);
    open();
    await new Promise((resolve) => setImmediate(resolve));
    expect(gate.closedBecause).toBeUndefined();
    expect(events.at(-1)).toBe('second begins');
    stop.abort();
    await second;
    expect(events.at(-1)).toBe('second ends');
  });

  test('a session that fails because it was ended counts as ended', async () => {
    const gate = new SessionGate();
    const failing = gate.pass(
      (signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error))),
      never,
    );
    const failed = expect(failing).rejects.toThrow('too much');
    await new Promise((resolve) => setImmediate(resolve));
    const open = await gate.close('too much');
    await failed;
    await expect(gate.close('again')).rejects.toThrow('closed already');
    open();
    const openAgain = await gate.close('again');
    openAgain();
    expect(gate.closedBecause).toBeUndefined();
  });

  test('who waits before it can give up', async () => {
    const gate = new SessionGate();
    await gate.close('too much');
    const stop = new AbortController();
    const { events, run } = sessions(gate);
    const waiting = run('first', stop.signal);
    stop.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    expect(events).toEqual([]);
  });
});
