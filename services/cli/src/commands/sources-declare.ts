import { ShapecastError } from '@shapecast/errors';
import { ADMIN_FLAGS, AdminClient, sourcePath } from '../admin/admin-client.ts';
import { EXIT, requiredArgument, requiredText, type Command } from '../command.ts';
import { readDeclaration } from '../sources/source-file.ts';

function declaring(means: 'add' | 'change'): Command {
  return {
    flags: {
      file: {
        type: 'string',
        value: 'FILE',
        about: 'What a sources file says of one source (YAML or JSON): databaseUrl, secrets, limits ...; required.',
      },
      ...ADMIN_FLAGS,
    },
    argument: 'ID',
    async run(values, world) {
      const id = requiredArgument(values, 'ID');
      const declaration = readDeclaration(requiredText(values, 'file'), world.env);
      const admin = new AdminClient(values, world);
      const exists = await admin.exists(sourcePath(id));
      if (means === 'add' && exists) throw refused('There is a source of this id: use sources change.');
      if (means === 'change' && !exists) throw refused('There is no source of this id: use sources add.');
      const answer = await admin.ask('PUT', sourcePath(id), declaration);
      if (values['json'] === true) world.out(JSON.stringify(answer, undefined, 2));
      else world.out(TEXTS[String(answer['outcome'])] ?? 'Done.');
      return EXIT.ok;
    },
  };
}

const TEXTS: Readonly<Record<string, string>> = {
  added: 'The source was added.',
  changed: 'The source was changed.',
  same: 'The source is as the file says already.',
};

function refused(message: string): ShapecastError {
  return new ShapecastError('INVALID_REQUEST', message);
}

export const sourcesAdd = declaring('add');
export const sourcesChange = declaring('change');
