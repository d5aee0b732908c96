import { expect, test } from 'vitest';
import { NatsAbsence } from './nats-absence.ts';

/** `c`: connected and alone, `o`: connected and others are there, `-`: not connected. Answers at which look it is to go. */
function goesAt(looks: string): number | undefined {
  const absence = new NatsAbsence();
  const at = [...looks].findIndex((look) => absence.look(look !== '-', look === 'o'));
  return at < 0 ? undefined : at;
}

test.each([
  ['NATS is there', 'o'.repeat(100), undefined],
  ['it was away for a moment, again and again', `o${'-'.repeat(19)}`.repeat(5), undefined],
  ['it is away and others may have it', `o${'-'.repeat(30)}`, 20],
  ['it is away and nobody else was there last', `oc${'-'.repeat(100)}`, undefined],
  ['it was never there', '-'.repeat(100), undefined],
])('F105 a leader: %s', (_, looks, expected) => {
  expect(goesAt(looks)).toBe(expected);
});
