import { BUCKETS, isOfLife, processKey, type ProcessRecord, type RouterRecord } from './records.ts';
import type { Registries } from './registry.ts';

/** What the living routers of a source say of themselves. Reads both registries; for looking now and then. Throws STREAM_UNAVAILABLE. */
export async function readLiveRouters(registries: Registries, source: string): Promise<readonly RouterRecord[]> {
  const routers = await registries.open<RouterRecord>(BUCKETS.routers.name, BUCKETS.routers);
  const processes = await registries.open<ProcessRecord>(BUCKETS.processes.name, BUCKETS.processes);
  const records = await routers.list(`${source}.`);
  const alive = await Promise.all(records.map(({ value }) => processes.get(processKey(value.id))));
  return records.flatMap(({ value }, i) => (isOfLife(value, alive[i]?.value) ? [value] : []));
}
