import { runStatements } from '@shapecast/change-source';
import { createDatabase, sharedPostgresUrl } from '@shapecast/testkit';
import { expect, test } from 'vitest';
import { call } from './testing/call.ts';

test('shapes explain --offline reads the table from the database and nothing else', async () => {
  const database = await createDatabase(sharedPostgresUrl());
  try {
    await runStatements(database.url, ['create table notes (id int primary key, owner text, rank int)']);
    const env = { DATABASE_URL: database.url };
    const explain = (...args: string[]) => call(['shapes', 'explain', '--offline', '--table', 'notes', ...args], env);
    const equality = await explain('--where', `owner = 'hunter2' AND rank > 3`, '--json');
    expect(JSON.parse(equality.out)).toMatchObject({ kind: 'equality', pinned: ['owner'], scanned: false });
    expect(equality.out).not.toContain('hunter2');
    expect((await explain('--where', 'rank <> id')).out).toContain('evaluated at every change');
    expect(await explain('--where', 'colour = 1')).toMatchObject({
      code: 1,
      err: expect.stringContaining('where: ') as string,
    });
    expect((await call(['shapes', 'explain', '--offline', '--table', 'none'], env)).code).toBe(1);
  } finally {
    await database.drop();
  }
});
