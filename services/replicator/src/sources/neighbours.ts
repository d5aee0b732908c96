import type { NeighbourSource, SourceIdentity } from '@shapecast/change-source';
import { BUCKETS, type LeaderRecord, type Registries, type SourceRecord } from '@shapecast/messaging';
import { SOURCES_BUCKET, type SourceEntry } from '@shapecast/sources';

/**
 * Sources that are declared and were last replicated from a database with this identity: the same one, or one of which this is a copy,
 * or the other way round. Of two that were set up at the same moment the one whose id comes first has the database.
 */
export async function findNeighbours(
  registries: Registries,
  own: string,
  identity: SourceIdentity,
): Promise<readonly NeighbourSource[]> {
  const sources = await registries.open<SourceRecord>(BUCKETS.sources.name);
  const alike = (await sources.list('')).filter(
    ({ value }) => value.systemId === identity.systemId && value.database === identity.database,
  );
  const setUp = alike.some(({ key }) => key === own);
  const others = alike.filter(({ key }) => key !== own && (!setUp || key < own));
  if (others.length === 0) return [];
  const declared = await registries.open<SourceEntry>(SOURCES_BUCKET);
  const leaders = await registries.open<LeaderRecord>(BUCKETS.leaders.name, BUCKETS.leaders);
  const found: NeighbourSource[] = [];
  for (const { key, value } of others) {
    const state = (await declared.get(key))?.value.state;
    if (state === undefined || state === 'gone' || state === 'removing') continue;
    const leader = (await leaders.get(key))?.value;
    found.push({ source: key, slotName: value.slotName, walSenderPid: leader?.walSenderPid });
  }
  return found;
}
