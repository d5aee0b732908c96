import { AdminClient, sourcePath } from '../admin/admin-client.ts';
import { textOf, type Values, type World } from '../command.ts';
import type { StageLag } from '../commands/sources-list.ts';
import { failureOf } from '../doctor/failure.ts';

/** How long the latest changes took, by stage, as the processes tell it and the admin API sums it up. */
export async function askStages(
  values: Values,
  world: World,
  source: string,
): Promise<StageLag | { readonly problem: string } | { readonly unset: string }> {
  const url = textOf(values, 'admin-url') ?? world.env['SHAPECAST_ADMIN_URL'];
  if (url === undefined || url === '') return { unset: 'SHAPECAST_ADMIN_URL' };
  try {
    const answer = await new AdminClient(values, world).ask('GET', sourcePath(source, '/usage'));
    return answer['lag'] as StageLag;
  } catch (error) {
    world.signal.throwIfAborted();
    return { problem: failureOf(error).message };
  }
}
