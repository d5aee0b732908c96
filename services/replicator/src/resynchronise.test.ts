import { describe, expect, test } from 'vitest';
import { resynchronise } from './resynchronise.ts';

const writer = { epoch: 5, acknowledgedSeq: 20, assignedSeq: 24 };

describe('resynchronise', () => {
  test.each([
    ['nothing of what was in flight is stored', { seq: 20, epoch: 5 }, { kind: 'continue', storedSeq: 20, endSeq: 20 }],
    ['part of it is', { seq: 22, epoch: 5 }, { kind: 'continue', storedSeq: 22, endSeq: 22 }],
    ['all of it is', { seq: 24, epoch: 5 }, { kind: 'continue', storedSeq: 24, endSeq: 24 }],
    ['a successor leads', { seq: 25, epoch: 6 }, { kind: 'step_down', reason: 'fenced' }],
    ['a successor leads a shorter stream', { seq: 10, epoch: 6 }, { kind: 'step_down', reason: 'fenced' }],
    ['our epoch has records that we did not write', { seq: 25, epoch: 5 }, { kind: 'step_down', reason: 'fenced' }],
    ['acknowledged records are gone', { seq: 19, epoch: 5 }, { kind: 'step_down', reason: 'stream_regressed' }],
    ['our leader record is gone', { seq: 24, epoch: 4 }, { kind: 'step_down', reason: 'stream_regressed' }],
    [
      'what a replaced writer had in flight came behind our last record',
      { seq: 26, epoch: 4, ownSeq: 21 },
      { kind: 'continue', storedSeq: 21, endSeq: 26 },
    ],
    [
      'a replaced writer wrote where an acknowledged tail is gone',
      { seq: 26, epoch: 4, ownSeq: 19 },
      { kind: 'step_down', reason: 'stream_regressed' },
    ],
    ['everything is gone', undefined, { kind: 'step_down', reason: 'stream_lost' }],
  ])('%s', (_, last, expected) => {
    expect(resynchronise(writer, last)).toEqual(expected);
  });
});
