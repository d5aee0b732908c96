import { waitFor } from '@shapecast/testkit';
import { firstDifference, heldRows } from '../../support/held-rows.ts';
import { selectText } from '../../support/rows.ts';
import { StrictReader } from '../../support/strict-reader.ts';
import { ALTERED } from '../model/tables.ts';
import { withClient } from '../writers/connection.ts';

/** Readers of tables that are altered meanwhile: each answer must be in order, and in the end they must have what Postgres has. */
export class AlteredReaders {
  readonly #falls: string[] = [];
  readonly #readers: readonly { readonly table: string; readonly where: string; readonly reader: StrictReader }[];

  /** `mayGoBack` says whether the store may have lost something lately. */
  constructor(url: string, mayGoBack: () => boolean) {
    this.#readers = ALTERED.flatMap((table) =>
      ['', 'grp in (1, 5, 9)'].map((where) => ({
        table,
        where,
        reader: new StrictReader(
          url,
          { table, ...(where && { where }) },
          {
            onWatermarkFall: (from, to) => {
              if (!mayGoBack()) this.#falls.push(`${table} where ${where}: up-to-date went from ${from} to ${to}`);
            },
          },
        ),
      })),
    );
  }

  async read(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#readers.map(({ reader }) => reader.follow(signal)));
  }

  /** What is wrong once nothing happens any more, in sentences. */
  async differences(databaseUrl: string): Promise<readonly string[]> {
    const expected = await withClient(databaseUrl, async (client) => {
      const all: string[] = [];
      for (const { table, where } of this.#readers) {
        const { rows } = await client.query<{ attname: string }>(
          `select attname from pg_attribute where attrelid = '${table}'::regclass and attnum > 0 and not attisdropped`,
        );
        const columns = rows.map(({ attname }) => attname);
        all.push((await selectText(client, table, columns, where)).join('\n'));
      }
      return all;
    });
    const differing = () => this.#readers.filter(({ reader }, i) => heldRows(reader) !== expected[i]);
    const broken = this.#readers.flatMap(({ table, where, reader }) =>
      reader.violations.map((violation) => `${table} where ${where}: ${violation}`),
    );
    const texts = [...this.#falls, ...broken];
    await waitFor(() => differing().length === 0, { intervalMs: 100 }).catch(() => {
      for (const { table, where, reader } of differing()) {
        const at = this.#readers.findIndex((each) => each.reader === reader);
        texts.push(
          `${table} where ${where} (${reader.handle}, ${reader.offset}): ${firstDifference(heldRows(reader), expected[at] ?? '')}`,
        );
      }
    });
    return texts;
  }
}
