import { ADMIN_FLAGS, AdminClient, sourcePath } from '../admin/admin-client.ts';
import { EXIT, requiredArgument, requiredText, textOf, WrongUsage, type Command } from '../command.ts';

interface Ended {
  readonly holder: string;
  readonly incarnation: number;
  readonly epoch: number;
}

export const sourcesRelease: Command = {
  flags: ADMIN_FLAGS,
  argument: 'ID',
  async run(values, world) {
    const path = sourcePath(requiredArgument(values, 'ID'), '/release');
    const answer = await new AdminClient(values, world).ask('POST', path);
    const { holder, epoch } = answer['released'] as Ended;
    const text = `${holder} gave up epoch ${epoch}. shapecast sources show says who leads now.`;
    world.out(values['json'] === true ? JSON.stringify(answer, undefined, 2) : text);
    return EXIT.ok;
  },
};

export const sourcesNewIncarnation: Command = {
  flags: {
    confirm: { type: 'string', value: 'ID', about: 'The id once more: every reader of the source starts over.' },
    reason: { type: 'string', value: 'TEXT', about: 'Why, for the log; required.' },
    ...ADMIN_FLAGS,
  },
  argument: 'ID',
  async run(values, world) {
    const id = requiredArgument(values, 'ID');
    const reason = requiredText(values, 'reason');
    if (textOf(values, 'confirm') !== id) {
      throw new WrongUsage('Every reader of the source starts over: repeat its id with --confirm ID.');
    }
    const path = sourcePath(id, `/new-incarnation?confirm=${encodeURIComponent(id)}`);
    const answer = await new AdminClient(values, world).ask('POST', path, { reason });
    const { incarnation } = answer['ended'] as Ended;
    const text = `Incarnation ${incarnation} has ended: whoever leads next begins another one.`;
    world.out(values['json'] === true ? JSON.stringify(answer, undefined, 2) : text);
    return EXIT.ok;
  },
};
