import type { HomeClaim, HomeOutcome } from '../../home.ts';
import { randomToken, type StoreContext } from '../context.ts';
import { defineScript } from '../script.ts';

type Reply = ['ours', store: string] | ['foreign', installation: string, beat: string];

// Also when the store is full: who owns it decides who may make room.
const run = defineScript<Reply>(new URL('./claim-home.lua', import.meta.url), { whenFull: true });

export async function claimHome(
  { redis }: StoreContext,
  key: string,
  { installation, insteadOf = '' }: HomeClaim,
): Promise<HomeOutcome> {
  const reply = await run(redis, [key], [installation, randomToken(), insteadOf]);
  if (reply[0] === 'ours') return { kind: 'ours', store: reply[1] };
  return { kind: 'foreign', installation: reply[1], beat: reply[2] };
}
