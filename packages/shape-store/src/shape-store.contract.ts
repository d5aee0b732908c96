import { describe } from 'vitest';
import { describeAppend } from './contract/append.contract.ts';
import { describeAttempts } from './contract/attempt.contract.ts';
import { describeBounds } from './contract/bounds.contract.ts';
import type { OpenStore } from './contract/fixtures.ts';
import { describeHome } from './contract/home.contract.ts';
import { describeDurability } from './contract/durability.contract.ts';
import { describeLife } from './contract/life.contract.ts';
import { describeNotes } from './contract/note.contract.ts';
import { describeOwnership } from './contract/ownership.contract.ts';
import { describeResumption } from './contract/resume.contract.ts';
import { describeUpkeep } from './contract/upkeep.contract.ts';
import { describeUse } from './contract/use.contract.ts';
import { describeSnapshots } from './contract/snapshot.contract.ts';

/** What every shape store does. */
export function describeShapeStore(name: string, open: OpenStore): void {
  describe(`shape store: ${name}`, () => {
    describeHome(open);
    describeOwnership(open);
    describeAppend(open);
    describeNotes(open);
    describeLife(open);
    describeSnapshots(open);
    describeAttempts(open);
    describeResumption(open);
    describeBounds(open);
    describeUpkeep(open);
    describeUse(open);
    describeDurability(open);
  });
}
