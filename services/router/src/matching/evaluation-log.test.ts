import { systemClock, type Clock, type Logger } from '@shapecast/service-kit';
import { ClauseEvaluationError } from '@shapecast/where';
import { expect, test } from 'vitest';
import { itemShape } from '../testing/model.ts';
import { EvaluationLog } from './evaluation-log.ts';
import { RoutedShape } from './routed-shape.ts';

function recorder() {
  const lines: [level: string, fields: object][] = [];
  const log: Logger = {
    error: (fields) => void lines.push(['error', fields]),
    warn: (fields) => void lines.push(['warn', fields]),
    info: (fields) => void lines.push(['info', fields]),
    debug: (fields) => void lines.push(['debug', fields]),
    child: () => log,
  };
  let nowMs = 1_000;
  const clock: Clock = { ...systemClock, now: () => nowMs };
  return { lines, log, clock, pass: (ms: number) => void (nowMs += ms) };
}

const shape = () => new RoutedShape(itemShape({ where: `owner = 'secret'` }));

test('names shape, table and reason, and shows the clause at debug only', () => {
  const { lines, ...deps } = recorder();
  const log = new EvaluationLog(deps);
  const failing = shape();
  log.failed(failing, new ClauseEvaluationError('postgres', 'division by zero'));
  const { handle } = failing;
  expect(lines).toEqual([
    ['warn', { handle, table: 'public.items', reason: 'division by zero' }],
    ['debug', { handle, where: `owner = 'secret'` }],
  ]);
});

test('keeps the texts of errors to itself that may quote a value', () => {
  const { lines, ...deps } = recorder();
  new EvaluationLog(deps).failed(shape(), new Error('invalid value: "secret"'));
  expect(JSON.stringify(lines.filter(([level]) => level !== 'debug'))).not.toContain('secret');
});

test('T58 writes a bounded number of lines a minute and says how many it left out', () => {
  const { lines, pass, ...deps } = recorder();
  const log = new EvaluationLog(deps);
  const error = new ClauseEvaluationError('undecided', 'a value of type int4 cannot be read');
  for (let i = 0; i < 100; i += 1) log.failed(shape(), error);
  const written = lines.filter(([level]) => level === 'warn').length;
  expect(written).toBeLessThan(100);
  pass(60_000);
  log.failed(shape(), error);
  expect(lines.at(-2)).toEqual(['warn', expect.objectContaining({ leftOut: 100 - written })]);
});
