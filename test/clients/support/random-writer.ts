import type { Client } from 'pg';
import { Chance } from '../../support/chance.ts';
import { canonicalRows } from '../../support/rows.ts';

const LABELS = ['', 'plain', 'été', 'quo"te', "it's", 'line\nbreak', '{}', '\\'];

/**
 * Writes random transactions to a table and remembers, for each, what the table held afterwards. The row with id 0 counts
 * the transactions, so that a state a client holds can be compared with the one state of the table it claims to be.
 */
export class RandomWriter {
  readonly #db: Client;
  readonly #table: string;
  readonly #chance: Chance;
  /** By number of transactions, in the canonical form of `canonicalRows`. */
  readonly states: (readonly string[])[] = [];

  constructor(db: Client, table: string, seed: number) {
    this.#db = db;
    this.#table = table;
    this.#chance = new Chance(seed);
  }

  static ddl(table: string): string {
    return `create table ${table} (id int primary key, n int, label text, big int8, flag bool, tags text[]);
            insert into ${table} (id, n) values (0, 0);`;
  }

  get count(): number {
    return this.states.length - 1;
  }

  async start(): Promise<void> {
    this.states.push(await this.#read());
  }

  async write(): Promise<void> {
    const chance = this.#chance;
    await this.#db.query('begin');
    for (let i = chance.int(4); i >= 0; i -= 1) await this.#statement();
    await this.#db.query(`update ${this.#table} set n = n + 1 where id = 0`);
    this.states.push(await this.#read());
    await this.#db.query('commit');
  }

  async #statement(): Promise<void> {
    const chance = this.#chance;
    const id = 1 + chance.int(30);
    const kind = chance.int(10);
    if (kind < 5) {
      await this.#db.query(
        `insert into ${this.#table} values ($1, $2, $3, $4, $5, $6)
         on conflict (id) do update set label = excluded.label, big = excluded.big, flag = excluded.flag`,
        [
          id,
          chance.int(100),
          chance.chance(0.1) ? null : chance.pick(LABELS),
          chance.pick(['9223372036854775807', '-9007199254740993', '7']),
          chance.pick([true, false, null]),
          chance.pick([null, [], ['a'], ['b c', 'd"e', null]]),
        ],
      );
    } else if (kind < 7) {
      await this.#db.query(`update ${this.#table} set n = n + 1, label = $2 where id % 5 = $1 and id > 0`, [
        chance.int(5),
        chance.pick(LABELS),
      ]);
    } else if (kind < 8) {
      // Changes keys: seen as a delete and an insert.
      await this.#db.query(
        `update ${this.#table} set id = id + 40 where id = $1
         and not exists (select from ${this.#table} where id = $1 + 40)`,
        [id],
      );
    } else {
      await this.#db.query(`delete from ${this.#table} where id % 7 = $1 and id > 0`, [chance.int(7)]);
    }
  }

  /** Arrays as JSON, which is what the client makes of them. */
  async #read(): Promise<readonly string[]> {
    const columns = 'id, n, label, big, flag, array_to_json(tags)::text as tags';
    const { rows } = await this.#db.query<Record<string, unknown>>(`select ${columns} from ${this.#table}`);
    return canonicalRows(rows);
  }
}
