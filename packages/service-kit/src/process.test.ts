import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';

const module = new URL('./index.ts', import.meta.url).href;

/** Runs two components in a process of their own; resolves once both have started. */
async function run(stopOfTheFirst: string, options = '{}') {
  const code = `
    const { runProcess } = await import(${JSON.stringify(module)});
    const say = (_fields, text) => console.log(text);
    const log = { error: say, info: () => {}, warn: say, debug: () => {} };
    const part = (name, stop) => ({ name, start: async () => {}, stop: async () => { console.log('stopping ' + name); await stop(); } });
    // What a socket would do: there is something left to wait for.
    setInterval(() => {}, 1_000);
    await runProcess(log, [part('first', ${stopOfTheFirst}), part('second', async () => {})], ${options});
    console.log('started');`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const lines: string[] = [];
  const exited = once(child, 'exit');
  const started = Promise.withResolvers<void>();
  child.stdout.on('data', (bytes: Buffer) => {
    lines.push(...bytes.toString().split('\n').filter(Boolean));
    if (lines.includes('started')) started.resolve();
  });
  await started.promise;
  return { child, lines, exited };
}

test('SIGTERM stops the parts in reverse order, and the process ends with 0', async () => {
  const { child, lines, exited } = await run('async () => {}');
  child.kill('SIGTERM');
  expect(await exited).toEqual([0, null]);
  expect(lines).toEqual(['started', 'stopping second', 'stopping first']);
});

test('O 2.4 a part that does not stop in time is cut, with a line that says so', async () => {
  const { child, lines, exited } = await run('() => new Promise(() => {})', '{ stopMs: 50 }');
  child.kill('SIGTERM');
  expect(await exited).toEqual([1, null]);
  expect(lines).toEqual(['started', 'stopping second', 'stopping first', 'stopping takes too long, leaving']);
});

test('a part that fails to stop does not keep the others from it, and the process ends with 1', async () => {
  const { child, lines, exited } = await run(`async () => { throw new Error('broken'); }`);
  child.kill('SIGTERM');
  expect(await exited).toEqual([1, null]);
  expect(lines).toEqual(['started', 'stopping second', 'stopping first', 'component failed to stop']);
});

test('a second signal is from somebody who does not want to wait', async () => {
  const { child, lines, exited } = await run('() => new Promise(() => {})');
  child.kill('SIGTERM');
  while (!lines.includes('stopping first')) await new Promise((resolve) => setTimeout(resolve, 5));
  child.kill('SIGTERM');
  expect(await exited).toEqual([1, null]);
  expect(lines).not.toContain('stopping takes too long, leaving');
});
