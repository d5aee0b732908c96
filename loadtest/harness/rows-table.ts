import type { Client } from 'pg';
import { END, TABLE } from '../lib/rows.ts';
import { CHECK_MODULUS } from '../lib/sequence-tracker.ts';
import type { WriterPlan } from '../lib/plan.ts';

/** Makes the table anew, with the rows that are there before anybody reads. */
export async function createTable(client: Client, plan: WriterPlan): Promise<void> {
  await client.query(`drop table if exists ${TABLE}`);
  await client.query(
    `create table ${TABLE} (channel int, seq bigint, written_ms bigint not null, pad text not null, primary key (channel, seq))`,
  );
  await client.query(
    `insert into ${TABLE} (channel, seq, written_ms, pad)
     select channel, seq, $3::bigint, repeat('x', $4::int)
     from generate_series(0, $1::int - 1) channel, generate_series(1, $2::int) seq`,
    [plan.channels, plan.rowsBefore, Date.now(), plan.padBytes],
  );
  await client.query(`analyze ${TABLE}`);
}

/** One transaction: `count` rows of one channel, from `seq` on. */
export async function insertRows(client: Client, row: NewRows): Promise<void> {
  await client.query({
    name: 'insert-rows',
    text: `insert into ${TABLE} (channel, seq, written_ms, pad)
           select $1::int, $2::bigint + i, $3::bigint, $4 from generate_series(0, $5::int - 1) i`,
    values: [row.channel, row.seq, row.writtenMs, row.pad, row.count],
  });
}

export interface NewRows {
  readonly channel: number;
  readonly seq: number;
  readonly writtenMs: number;
  readonly pad: string;
  readonly count: number;
}

/** The last row of each of these channels. */
export async function insertEnds(client: Client, ends: readonly { channel: number; seq: number }[]): Promise<void> {
  await client.query(
    `insert into ${TABLE} (channel, seq, written_ms, pad)
     select channel, seq, $3::bigint, $4 from unnest($1::int[], $2::bigint[]) as ends (channel, seq)`,
    [ends.map(({ channel }) => channel), ends.map(({ seq }) => seq), Date.now(), END],
  );
}

/** By channel; the same sums as a SequenceTracker makes. */
export async function totals(client: Client, channels: number): Promise<(readonly [rows: number, check: number])[]> {
  const { rows } = await client.query<{ channel: number; rows: number; check: number }>(
    `select channel, count(*)::int as rows,
            (sum(seq::numeric * 1000003 + written_ms % 1000003 + channel * 31) % ${CHECK_MODULUS})::float8 as check
     from ${TABLE} group by channel`,
  );
  const result: (readonly [number, number])[] = Array.from({ length: channels }, () => [0, 0]);
  for (const { channel, rows: count, check } of rows) result[channel] = [count, check];
  return result;
}
