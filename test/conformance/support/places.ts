import { setTimeout as pause } from 'node:timers/promises';
import { waitFor } from '@shapecast/testkit';
import { expect } from 'vitest';
import type { RawAnswer } from './http.ts';
import { messages, rows, type ConformanceService, type Message } from './service.ts';
import { freshTable } from './tables.ts';

export const ids = (answer: RawAnswer) => rows(messages(answer)).map((message) => Number(message.value?.['id']));
export const lsnOf = (message: Message | undefined) => BigInt(message?.headers['lsn'] as string);
export const vouched = (answer: RawAnswer) =>
  BigInt(messages(answer).at(-1)?.headers['global_last_seen_lsn'] as string);
/** Whether the request is still unanswered. */
export const isHeld = async (answer: Promise<unknown>) => (await Promise.race([answer, pause(150, 'held')])) === 'held';

/** Ways to get to places in logs, and on from them. */
export function placesOf(service: () => ConformanceService) {
  /** A shape of a table of its own, read to its tail. */
  async function tailOf(query: Record<string, string> = {}, initialRows = 1) {
    const table = query['table'] ?? (await freshTable(service(), undefined, initialRows));
    const read = await service().read({ table, ...query });
    const place = { table, ...query, handle: read.handle, offset: read.offset };
    return { table, handle: read.handle, offset: read.offset, place };
  }

  const insert = (table: string, ...list: readonly number[]) =>
    service().sql(`INSERT INTO ${table} VALUES ${list.map((id) => `(${id}, 'row ${id}')`).join()}`);

  /** Reads on without waiting until there are entries. */
  const entriesAfter = (place: Record<string, string>) =>
    waitFor(async () => {
      const answer = await service().shape(place);
      expect(answer.status, answer.text).toBe(200);
      return rows(messages(answer)).length > 0 && answer;
    });

  return { tailOf, insert, entriesAfter };
}
