import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { MemoryDatabase, MemorySourceDatabase } from '@shapecast/change-source';
import type { DeleteChange, InsertChange, Lsn, UpdateChange } from '@shapecast/log';
import { RowEncoder, snapshotEndMessage, transactionHeaders } from '@shapecast/protocol';
import { systemClock } from '@shapecast/service-kit';
import { openMemoryShapeStore, type LogEntry, type ShardState, type SnapshotVisibility } from '@shapecast/shape-store';
import { expect, test } from 'vitest';
import { readShape } from '../testing/read-shape.ts';
import { encodeMark } from './snapshot-mark.ts';
import { settlePending } from './settle-pending.ts';

const KEYS = Array.from({ length: 12 }, (_, i) => `${i}/"`);
const DEFINITION = {
  v: 1,
  oid: 1,
  schema: 'public',
  table: 't',
  keyColumns: ['id'],
  hasPrimaryKey: true,
  columns: ['id', 'v'],
  allColumns: true,
  where: '',
  replica: 'default',
  log: 'full',
} as const;
const FINGERPRINT = { oid: 1, schema: 'public', table: 't', keyColumns: ['id'], columnCount: 2, columns: [] };
const encoder = new RowEncoder(DEFINITION, ['id', 'v']);
const database = new MemorySourceDatabase(new MemoryDatabase());
const never = new AbortController().signal;

type Table = Map<string, number>;

/** Rows of the shape: like a where clause. */
const belongs = (value: number | undefined): value is number => value !== undefined && value % 4 !== 0;

/** What a statement wishes; what it does depends on what is there. */
interface Wish {
  readonly key: number;
  readonly to: number;
  readonly value: number;
  readonly kind: 'put' | 'delete' | 'move';
}

interface Transaction {
  readonly lsn: Lsn;
  readonly xid: bigint;
  readonly changes: readonly { readonly old?: [string, number]; readonly now?: [string, number] }[];
}

/** Commits the wishes one after the other to a table that begins empty. */
function commit(wishes: readonly (readonly Wish[])[], xids: readonly bigint[]): Transaction[] {
  const table: Table = new Map();
  return wishes.map((statements, i) => {
    const changes: { old?: [string, number]; now?: [string, number] }[] = [];
    for (const { key, to, value, kind } of statements) {
      const id = KEYS[key] as string;
      const [known, target] = [table.get(id), KEYS[to] as string];
      if (kind === 'delete' ? known === undefined : kind === 'move' && (known === undefined || table.has(target)))
        continue;
      const old: { old?: [string, number] } = known === undefined ? {} : { old: [id, known] };
      if (kind !== 'put') table.delete(id);
      if (kind === 'delete') changes.push(old);
      else {
        const now: [string, number] = [kind === 'move' ? target : id, value];
        table.set(...now);
        changes.push({ ...old, now });
      }
    }
    return { lsn: BigInt(1_000 + 100 * i) as Lsn, xid: xids[i] as bigint, changes };
  });
}

function apply(table: Table, { changes }: Transaction): void {
  for (const { old, now } of changes) {
    if (old) table.delete(old[0]);
    if (now) table.set(...now);
  }
}

/** The entries of a transaction as the matcher would make them (spec R 10.2.6, 10.2.7). */
function entriesOf(handle: string, { lsn, xid, changes }: Transaction): LogEntry[] {
  const tx = transactionHeaders({ lsn, xid });
  const bodies: [op: number, body: string][] = [];
  changes.forEach(({ old, now }, i) => {
    const op = 2 * i;
    const [was, is] = [old && belongs(old[1]), now && belongs(now[1])];
    const tuples = { old: old && [old[0], String(old[1])], new: now && [now[0], String(now[1])] };
    const changed = [...(old?.[0] === now?.[0] ? [] : [0]), ...(old?.[1] === now?.[1] ? [] : [1])];
    const change = { op, changed, ...tuples } as unknown as InsertChange & UpdateChange & DeleteChange;
    if (was && is && changed.includes(0)) {
      bodies.push([op, encoder.keyChangeDelete(change, tx)], [op + 1, encoder.keyChangeInsert(change, tx)]);
    } else if (was && is) {
      if (changed.length > 0) bodies.push([op, encoder.update(change, tx)]);
    } else if (is) bodies.push([op, encoder.insert(change, tx)]);
    else if (was) bodies.push([op, encoder.delete(change, tx)]);
  });
  return bodies.map(([op, body], i) => ({
    handle,
    position: { lsn, op },
    xid,
    bytes: Buffer.from(`${body}${i === bodies.length - 1 ? ',"last":true' : ''}}}`),
  }));
}

/** Whoever touched what a transaction touches before it, it has waited for. */
function dependsOn(later: Transaction, earlier: Transaction): boolean {
  const keys = ({ changes }: Transaction) => changes.flatMap(({ old, now }) => [old?.[0], now?.[0]]);
  const touched = new Set(keys(earlier).filter((key) => key !== undefined));
  return keys(later).some((key) => key !== undefined && touched.has(key));
}

/**
 * A snapshot after some commits, of which some do not show yet (they wait for a standby): nor does what came after them in the same
 * rows. What an earlier snapshot shows, it shows.
 */
function visibilityOf(
  all: readonly Transaction[],
  committed: number,
  hidden: readonly boolean[],
  earlier: ReadonlySet<Transaction>,
): { readonly shown: Set<Transaction>; readonly snapshot: SnapshotVisibility } {
  const shown = new Set<Transaction>();
  const missing: Transaction[] = [];
  for (const [i, one] of all.slice(0, committed).entries()) {
    const waits = hidden[i] === true && !earlier.has(one);
    if (waits || missing.some((other) => dependsOn(one, other))) missing.push(one);
    else shown.add(one);
  }
  const xmax = [...shown, ...earlier].reduce((max, { xid }) => (xid >= max ? xid + 1n : max), 100n);
  const xip = all.filter((one) => !shown.has(one) && one.xid < xmax).map(({ xid }) => xid);
  const xmin = xip.reduce((min, xid) => (xid < min ? xid : min), xmax);
  const insertLsn = ((all[committed - 1]?.lsn ?? 900n) + 50n) as Lsn;
  return { shown, snapshot: { xmin, xmax, xip, insertLsn } };
}

const wish: fc.Arbitrary<Wish> = fc.record({
  key: fc.nat(KEYS.length - 1),
  to: fc.nat(KEYS.length - 1),
  value: fc.nat(50),
  kind: fc.constantFrom('put', 'put', 'delete', 'move', 'move'),
});

const history = fc
  .array(fc.array(wish, { minLength: 1, maxLength: 8, size: 'max' }), { minLength: 1, maxLength: 20, size: 'max' })
  .chain((wishes) =>
    fc.record({
      transactions: fc
        .shuffledSubarray(
          wishes.map((_, i) => 100n + BigInt(i)),
          { minLength: wishes.length },
        )
        .map((xids) => commit(wishes, xids)),
      segments: fc.array(
        fc.record({
          after: fc.nat(wishes.length),
          hidden: fc.array(
            fc.nat(3).map((n) => n === 0),
            { minLength: wishes.length, maxLength: wishes.length },
          ),
          rows: fc.nat(5),
        }),
        { minLength: 1, maxLength: 5 },
      ),
    }),
  );

test('the rows of all segments and what is left of the log are the table, whatever each segment shows', async () => {
  let [dropped, amended] = [0, 0];
  await fc.assert(
    fc.asyncProperty(history, async ({ transactions, segments: given }) => {
      const store = openMemoryShapeStore(systemClock, { leaseMs: 0 });
      const shard = { source: randomUUID(), incarnation: 1, shard: 0 };
      let state: ShardState = await store.acquire(shard, 'owner');
      const { handle } = await store.getOrCreate(shard, {
        digest: 'd',
        definition: DEFINITION,
        fingerprint: FINGERPRINT,
        chunkBytes: 200,
      });
      const segments = given.toSorted((a, b) => a.after - b.after);
      let earlier: ReadonlySet<Transaction> = new Set();
      let bound = '';
      let token = '';
      let chunk = 0;
      for (const [i, segment] of segments.entries()) {
        const { shown, snapshot } = visibilityOf(transactions, segment.after, segment.hidden, earlier);
        earlier = shown;
        const table: Table = new Map();
        for (const one of transactions) if (shown.has(one)) apply(table, one);
        const rest = [...table]
          .filter(([id, value]) => id > bound && belongs(value))
          .sort(([a], [b]) => (a < b ? -1 : 1));
        const isLast = i === segments.length - 1;
        // Of an attempt that stored nothing there would be nothing to go on with.
        const rows = isLast ? rest : rest.slice(0, Math.max(segment.rows, i === 0 ? 1 : 0));
        if (i === 0 && rows.length === 0 && !isLast) return;
        token = String(i);
        expect(await store.snapshotBegin(shard, handle, token)).toBe(i === 0 ? 'begun' : 'resumed');
        expect(await store.snapshotKnown(shard, handle, token, snapshot)).toBe('known');
        for (const [id, value] of rows) {
          bound = id;
          const mark = encodeMark({
            order: 'memory',
            key: [id],
            next: { chunk: chunk + 1, bytes: 0 },
            rows: 0,
            bytes: 0,
          });
          const bytes = Buffer.from(encoder.snapshotRow([id, String(value)]));
          await store.snapshotPart(shard, handle, token, { chunk, bytes, close: true, mark });
          chunk += 1;
        }
      }

      const entries = transactions.flatMap((one) => entriesOf(handle, one));
      const position = { lsn: 10_000n as Lsn, op: 0 };
      state = { ...state, ver: (await store.loadShapes(shard)).ver };
      const to = { seq: 1, position, openTxSeq: 0 };
      await store.append(shard, state, { entries, transactions: [], to, visible: position, watermark: position.lsn });

      const interrupted = await store.readInterrupted(shard, handle, token);
      if (interrupted && interrupted.segments.length > 1) {
        const shape = (await store.loadShapes(shard)).shapes[0];
        if (!shape) throw new Error('no shape');
        const counting = {
          readPending: (...args: Parameters<typeof store.readPending>) => store.readPending(...args),
          amendPending: async (...args: Parameters<typeof store.amendPending>) => {
            dropped += args[3].filter(({ bytes }) => bytes === undefined).length;
            amended += args[3].filter(({ bytes }) => bytes !== undefined).length;
            return store.amendPending(...args);
          },
        };
        const segmented = { shard, shape, token, segments: interrupted.segments };
        // Twice, as after an interruption in the middle.
        for (let time = 0; time < 2; time += 1) {
          expect(await settlePending({ store: counting, database }, segmented, never)).toBe(true);
        }
      }
      const end = snapshotEndMessage({ xmin: 1n, xmax: 1n, xip: [] });
      await store.snapshotPart(shard, handle, token, { chunk, bytes: Buffer.from(end), close: true });
      await store.snapshotDone(shard, handle, token);
      expect(await store.promote(shard, handle, 10_000)).toBe(0);

      const whole: Table = new Map();
      for (const one of transactions) apply(whole, one);
      const { rows, log } = await readShape(store, { shard, handle });
      const found = [...rows.values()].map(({ id, v }) => [id, Number(v)]).sort();
      expect(found).toEqual([...whole].filter(([, value]) => belongs(value)).sort());
      for (const [i, { message }] of log.entries()) {
        // Both halves of a change of key, or none that says so.
        if (message.headers['key_change_to'] !== undefined) {
          expect(log[i + 1]?.message.headers['key_change_from']).toBe(message.key);
        }
        if (message.headers['key_change_from'] !== undefined) {
          expect(log[i - 1]?.message.headers['key_change_to']).toBe(message.key);
        }
      }
    }),
    { numRuns: 1_500 },
  );
  // What this is about has happened, and often.
  expect(dropped).toBeGreaterThan(500);
  expect(amended).toBeGreaterThan(200);
});
