import type { Scalars } from './scalars.ts';
import type { Term } from './term.ts';
import { STRINGS } from './vocabulary.ts';

const PARTS = '% _ a b A É é i ß σ \\% \\_ \\\\ 😀 \\a x \\'.split(' ').concat(' ', '\n');

/** A pattern for LIKE: a column of patterns, any text, pieces put together, or a value of the type made to match. */
export function pattern(scalars: Scalars, type: string, depth: number): Term {
  const { chance } = scalars;
  const roll = chance.next();
  if (roll < 0.15) return { kind: 'column', type: 'text', name: 's_pattern' };
  if (roll < 0.25) return scalars.scalar(chance.pick(STRINGS), depth);
  const form = chance.pick(['unknown', 'unknown', 'cast', 'parameter', 'escape'] as const);
  if (roll < 0.28) return { kind: 'constant', type: 'text', text: null, form };
  if (roll < 0.6) return { kind: 'constant', type: 'text', text: matching(scalars, type), form };
  const parts = Array.from({ length: chance.int(5) }, () => chance.pick(PARTS));
  return { kind: 'constant', type: 'text', text: `${chance.chance(0.3) ? '%' : ''}${parts.join('')}`, form };
}

/** A pattern that some row may match: one of their values with wildcards in it. */
function matching(scalars: Scalars, type: string): string {
  const { chance } = scalars;
  const characters = [...scalars.text(type)].map((one) => (/[%_\\]/.test(one) ? `\\${one}` : one));
  if (chance.chance(0.3)) return `${characters.slice(0, 1 + chance.int(2)).join('')}%`;
  if (chance.chance(0.3)) return `%${characters.slice(-1).join('')}%`;
  const wild = characters.map((one) => (chance.chance(0.2) ? '_' : chance.chance(0.1) ? '%' : one));
  return chance.chance(0.3) ? wild.join('').toUpperCase() : wild.join('');
}
