import { ShapecastError } from '@shapecast/errors';
import type { HolderWatch, NeighbourSource, SourceIdentity } from '../../change-source.ts';
import type { LazyPool } from '../lazy-pool.ts';
import { readSlot } from '../sql/slot.ts';

/**
 * Throws SOURCE_MISCONFIGURED of type `database_taken` when this database is replicated by another source already, under whatever host
 * name: each would cost it a slot and decoding of its own. A copy of a database has its identity and its name, perhaps even its slots;
 * so a slot counts when the backend that its source says it is read by reads from it here, or when nobody says that he reads from it.
 */
export async function refuseTakenDatabase(
  deps: { readonly admin: LazyPool; readonly signal: AbortSignal },
  identity: SourceIdentity,
  holder: HolderWatch | undefined,
): Promise<void> {
  for (const neighbour of (await holder?.neighbours?.(identity)) ?? []) {
    const { source, slotName, walSenderPid } = neighbour;
    const slot = await deps.admin.use(deps.signal, (db) => readSlot(db, slotName));
    if (slot?.database !== identity.database) continue;
    if (walSenderPid !== undefined && slot.activePid !== walSenderPid) continue;
    throw new ShapecastError('SOURCE_MISCONFIGURED', textFor(neighbour), { type: 'database_taken', source });
  }
}

function textFor({ source, slotName }: NeighbourSource): string {
  return (
    `This is the database of source ${source}, whose slot "${slotName}" it has; a database can have one source. Remove one of the two, ` +
    'or, if this is a copy of that database, drop the slot that was copied with it.'
  );
}
