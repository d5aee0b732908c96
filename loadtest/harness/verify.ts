import { Client } from 'pg';
import { StrictReader } from '../../test/support/strict-reader.ts';
import type { Plan } from '../lib/plan.ts';
import { TABLE } from '../lib/rows.ts';
import type { Verification } from '../report/result.ts';
import type { Target } from './arguments.ts';

/** Of each source: reading ten thousand shapes again would take longer than the run. */
const MOST_CHANNELS = 20;
const MOST_DIFFERENCES = 20;

/** Reads shapes from their start and compares every row and column with what Postgres has: what k6 sums up, one by one. */
export async function verify(url: string, plan: Plan, targets: readonly Target[]): Promise<Verification> {
  const differences: string[] = [];
  let shapes = 0;
  let rows = 0;
  for (const { source = '', channels, quota } of plan.writers) {
    // What it may not have replicated yet, nobody can have read.
    if (quota !== undefined) continue;
    const target = targets.find((each) => each.source === source) ?? targets[0];
    if (target === undefined) throw new Error(`no database was given for source ${source}`);
    const client = new Client({ connectionString: target.databaseUrl });
    await client.connect();
    try {
      for (const channel of sample(channels)) {
        const read = await readShape(url, channel, target);
        const { rows: expected } = await client.query<Record<string, string>>(
          `select channel::text, seq::text, written_ms::text, pad from ${TABLE} where channel = $1 order by seq`,
          [channel],
        );
        shapes += 1;
        rows += expected.length;
        const place = `${source === '' ? '' : `${source}, `}channel ${channel}`;
        differences.push(...read.violations.map((violation) => `${place}: ${violation}`));
        differences.push(...compare(expected, read.rows).map((difference) => `${place}: ${difference}`));
      }
    } finally {
      await client.end();
    }
  }
  return { shapes, rows, differences: differences.slice(0, MOST_DIFFERENCES) };
}

async function readShape(url: string, channel: number, { source, secret }: Target): Promise<StrictReader> {
  const reader = new StrictReader(url, {
    ...(secret === undefined ? {} : { secret }),
    ...(source === '' ? {} : { source_id: source }),
    table: TABLE,
    where: `channel = ${channel}`,
  });
  await reader.catchUp(AbortSignal.timeout(120_000));
  return reader;
}

type Row = Readonly<Record<string, string | null>>;

function compare(expected: readonly Row[], read: ReadonlyMap<string, Row>): readonly string[] {
  const bySeq = new Map([...read.values()].map((row) => [row['seq'], row]));
  const wrong = expected.flatMap((row) => {
    const found = bySeq.get(row['seq'] ?? '');
    if (found === undefined) return [`row ${row['seq']} is missing`];
    const columns = Object.keys(row).filter((name) => row[name] !== found[name]);
    return columns.length === 0 ? [] : [`row ${row['seq']} differs in ${columns.join()}`];
  });
  return read.size > expected.length ? [...wrong, `${read.size - expected.length} rows too many`] : wrong;
}

/** Evenly over all of them, the first and the last included. */
function sample(channels: number): readonly number[] {
  const count = Math.min(channels, MOST_CHANNELS);
  return [
    ...new Set(Array.from({ length: count }, (_, i) => Math.round((i * (channels - 1)) / Math.max(1, count - 1)))),
  ];
}
