import { afterAll, beforeAll, expect, test } from 'vitest';
import { ConformanceService, expectInvalid, messages, rows } from './support/service.ts';

let service: ConformanceService;
beforeAll(async () => {
  service = await ConformanceService.start({ postgres: { version: 17 } });
  await service.db.query('insert into gen (id, n) values (1, 2)');
});
afterAll(() => service.stop());

const GENERATED = 'The following columns are generated and cannot be included in the shape: doubled';
const HINT =
  ". You can exclude them from the shape by explicitly listing which columns to fetch in the 'columns' query param";

test('C085 before version 18 generated columns are refused, and a list without them is served', async () => {
  expectInvalid(await service.shape({ table: 'gen', offset: '-1' }), { columns: [GENERATED + HINT] });
  expectInvalid(await service.shape({ table: 'gen', offset: '-1', columns: 'id,doubled' }), { columns: [GENERATED] });
  const { messages: read } = await service.read({ table: 'gen', columns: 'id,n' });
  expect(rows(read).map(({ value }) => value)).toEqual([{ id: '1', n: '2' }]);
});

test('a generated column may stand in the clause only if the log has it, and is refused otherwise', async () => {
  const answer = await service.shape({ table: 'gen', offset: '-1', columns: 'id,n', where: 'doubled = 4' });
  expect([200, 400]).toContain(answer.status);
  if (answer.status === 200) expect(rows(messages(answer))).toHaveLength(1);
  else expect(Object.keys((JSON.parse(answer.text) as { errors: object }).errors)).toEqual(['where']);
});
