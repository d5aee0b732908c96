import type { StoreContext } from '../context.ts';
import type { ShardKeys } from '../keys.ts';
import { defineScript, type ScriptArgument } from '../script.ts';

const run = defineScript<-1 | 0 | 1 | 2>(new URL('./amend-pending.lua', import.meta.url), { shared: ['head.lua'] });

/** What keeps a call short. */
const MAX_ADDED = 500;

/** Of one call: ids are padded. */
export interface PendingCopy {
  readonly from: string;
  readonly to: string;
  readonly last: boolean;
  /** Id, xid and bytes of each entry. */
  readonly entries: readonly ScriptArgument[];
}

/** `current`: whether the attempt is; `busy`: another call copies. */
export async function copyPending(
  { redis }: StoreContext,
  keys: ShardKeys,
  handle: string,
  token: string,
  { from, to, last, entries }: PendingCopy,
): Promise<'done' | 'more' | 'over' | 'busy'> {
  const args = [handle, token, from, to, last ? 1 : 0, MAX_ADDED, ...entries];
  const keyed = [keys.heads, keys.attempts, keys.log(handle), keys.pendingCopy(handle)];
  switch (await run(redis, keyed, args)) {
    case 1:
      return 'done';
    case 2:
      return 'more';
    case 0:
      return 'over';
    case -1:
      return 'busy';
  }
}
