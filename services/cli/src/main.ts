#!/usr/bin/env node
import { systemClock } from '@shapecast/service-kit';
import { run } from './run.ts';

const stop = new AbortController();
process.once('SIGINT', () => stop.abort(new Error('interrupted')));
process.once('SIGTERM', () => stop.abort(new Error('interrupted')));

process.exitCode = await run(process.argv.slice(2), {
  env: process.env,
  clock: systemClock,
  fetch,
  signal: stop.signal,
  colours: process.stdout.isTTY && process.env['NO_COLOR'] === undefined,
  out: (text) => void process.stdout.write(`${text}\n`),
  err: (text) => void process.stderr.write(`${text}\n`),
});
// A server that hangs may keep a socket open that nobody waits for any more.
setImmediate(() => process.exit());
