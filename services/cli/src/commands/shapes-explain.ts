import { ClauseReader, explainClause } from '@shapecast/admin';
import { openPgSourceDatabase } from '@shapecast/change-source';
import { ShapecastError } from '@shapecast/errors';
import { databaseConnection, silentLogger } from '@shapecast/service-kit';
import { ADMIN_FLAGS, AdminClient, sourcePath, type Answer } from '../admin/admin-client.ts';
import { EXIT, requiredText, textOf, WrongUsage, type Command, type World } from '../command.ts';
import { postgresSettings } from '../doctor/settings.ts';
import { table } from '../output/table.ts';
import { SOURCE_FLAG } from '../sources/one-source.ts';

export const shapesExplain: Command = {
  flags: {
    table: { type: 'string', value: 'TABLE', about: 'Table of the shape; required.' },
    where: { type: 'string', value: 'CLAUSE', about: 'Where clause of the shape.' },
    params: { type: 'string', value: 'JSON', about: 'Values of $1, $2 ... in the clause: {"1": "a"}.' },
    columns: { type: 'string', value: 'LIST', about: 'Columns of the shape, separated by commas.' },
    offline: { type: 'boolean', about: 'Asks the database of DATABASE_URL what the table is like, and no service.' },
    ...SOURCE_FLAG,
    ...ADMIN_FLAGS,
  },
  async run(values, world) {
    const question = {
      table: requiredText(values, 'table'),
      ...given('where', textOf(values, 'where')),
      ...given('columns', textOf(values, 'columns')),
      ...given('params', paramsOf(textOf(values, 'params'))),
    };
    let answer: Answer;
    if (values['offline'] === true) answer = { ...(await offline(question, world)) };
    else {
      const admin = new AdminClient(values, world);
      answer = await admin.ask('POST', sourcePath(await admin.sourceId(values), '/explain'), question);
    }
    if (values['json'] === true) world.out(JSON.stringify(answer, undefined, 2));
    else report(answer, world.out);
    return EXIT.ok;
  },
};

/** From the catalog alone, with the code that services use. */
async function offline(question: object, { env, clock, signal }: World) {
  const settings = postgresSettings(env);
  if (settings.kind === 'unset') throw new WrongUsage('--offline needs DATABASE_URL.');
  if (settings.kind === 'wrong') throw new WrongUsage(`${settings.problems.join('; ')}.`);
  const { config } = settings;
  const { databaseUrl: url, publicationName } = config;
  const database = openPgSourceDatabase(
    { url, publicationName, poolSize: 2, connection: databaseConnection(config) },
    { clock, log: silentLogger },
  );
  try {
    return await explainClause(question, new ClauseReader(), ({ schema, name }) =>
      database.introspect(schema, name, signal),
    );
  } catch (error) {
    if (error instanceof ShapecastError || !(error instanceof Error) || !('problem' in error)) throw error;
    throw new ShapecastError('INVALID_REQUEST', error.message, {}, error);
  } finally {
    await database.close();
  }
}

function report(answer: Answer, out: (text: string) => void): void {
  const {
    lookups,
    pinned,
    columns,
    kind,
    says,
    table: name,
    where,
    cost,
  } = answer as Readonly<{
    lookups: readonly string[];
    pinned: readonly string[];
    columns: readonly string[];
    kind: string;
    says: string;
    table: string;
    where?: string;
    cost: number;
  }>;
  const lines = [
    ['table', name],
    ['where', where ?? '-'],
    ['found by', kind],
    ['', says],
    ['looked up by', lookups.join('; ') || '-'],
    ['columns', columns.join(', ') || '-'],
    ['pinned', pinned.join(', ') || '-'],
    ['cost', `${(100 * cost).toPrecision(2)} % of the rows are looked at`],
  ];
  out(table(lines));
}

function paramsOf(text: string | undefined): unknown {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new WrongUsage('--params expects JSON such as {"1": "a"}.');
  }
}

function given(name: string, value: unknown): Record<string, unknown> {
  return value === undefined ? {} : { [name]: value };
}
