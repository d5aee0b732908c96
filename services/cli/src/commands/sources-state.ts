import { ADMIN_FLAGS, AdminClient, sourcePath } from '../admin/admin-client.ts';
import { EXIT, requiredArgument, textOf, WrongUsage, type Command, type World } from '../command.ts';

function changing(action: 'pause' | 'resume' | 'drain'): Command {
  return {
    flags: ADMIN_FLAGS,
    argument: 'ID',
    async run(values, world) {
      const path = sourcePath(requiredArgument(values, 'ID'), `/${action}`);
      tell(await new AdminClient(values, world).ask('POST', path), values['json'] === true, world);
      return EXIT.ok;
    },
  };
}

export const sourcesPause = changing('pause');
export const sourcesResume = changing('resume');
export const sourcesDrain = changing('drain');

export const sourcesRemove: Command = {
  flags: {
    confirm: { type: 'string', value: 'ID', about: 'The id once more: slot, publication and all data of it go.' },
    ...ADMIN_FLAGS,
  },
  argument: 'ID',
  async run(values, world) {
    const id = requiredArgument(values, 'ID');
    if (textOf(values, 'confirm') !== id) {
      throw new WrongUsage(
        'Removing a source drops its slot, its publication and all its data: repeat its id with --confirm ID.',
      );
    }
    const path = `${sourcePath(id)}?confirm=${encodeURIComponent(id)}`;
    tell(await new AdminClient(values, world).ask('DELETE', path), values['json'] === true, world);
    return EXIT.ok;
  },
};

function tell(answer: Readonly<Record<string, unknown>>, json: boolean, { out }: World): void {
  const { id, state } = answer['source'] as { readonly id: string; readonly state: string };
  out(json ? JSON.stringify(answer, undefined, 2) : `Source ${id} is ${state}.`);
}
