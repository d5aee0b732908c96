import { decodeRecord, encodeRecord, RecordDecoder } from './codec.ts';
import type { Change, Relation } from './change.ts';
import type { Lsn } from './lsn.ts';
import type { DataRecord } from './record.ts';

/** Rows per second through the codec, one JSON line per case. Run: `node packages/log/src/codec.bench.ts`. */
const relation: Relation = {
  oid: 16_384,
  schema: 'public',
  name: 'items',
  replicaIdentity: 'f',
  columns: ['id', 'owner', 'title', 'note', 'updated_at'].map((name) => ({ name, typeOid: 25, typeMod: -1 })),
  keyColumns: [0],
};

function change(kind: 'insert' | 'update', i: number): Change {
  const row = [String(i), `user-${i % 100}`, `title of ${i}`, 'a "quoted" note, äöü', '2026-01-01 00:00:00+00'];
  if (kind === 'insert') return { kind, op: 0, relation, new: row };
  const old = row.with(3, 'what it was').with(4, '2025-12-31 00:00:00+00');
  return { kind, op: 0, relation, new: row, old, changed: [3, 4] };
}

function record(kind: 'insert' | 'update', transactions: number, perTransaction: number): DataRecord {
  const prev = { position: { lsn: 99n as Lsn, op: 0 }, progressLsn: 99n as Lsn };
  const parts = Array.from({ length: transactions }, (_, t) => ({
    lsn: (1_000_000_000n + BigInt(t)) as Lsn,
    endLsn: (1_000_000_001n + BigInt(t)) as Lsn,
    xid: 5_000n + BigInt(t),
    commitTimeUs: 1_700_000_000_000_000n,
    begin: true,
    commit: true,
    changes: Array.from({ length: perTransaction }, (_, i) => ({ ...change(kind, i), op: 2 * i })),
  }));
  return { kind: 'data', incarnation: 1, epoch: 1, prev, parts };
}

function rowsPerSecond(rows: number, run: () => void): number {
  for (let i = 0; i < 50; i++) run();
  const start = performance.now();
  let rounds = 0;
  while (performance.now() - start < 1_000) {
    run();
    rounds += 1;
  }
  return Math.round((rounds * rows * 1_000) / (performance.now() - start));
}

for (const kind of ['insert', 'update'] as const) {
  for (const [transactions, perTransaction] of [
    [1, 1],
    [100, 1],
    [1, 500],
  ] as const) {
    const sample = record(kind, transactions, perTransaction);
    const rows = transactions * perTransaction;
    const encoded = encodeRecord(sample);
    const decoder = new RecordDecoder();
    decodeRecord(encoded);
    const result = {
      kind,
      transactions,
      perTransaction,
      bytesPerRow: Math.round(encoded.length / rows),
      encodeRowsPerSecond: rowsPerSecond(rows, () => encodeRecord(sample)),
      decodeRowsPerSecond: rowsPerSecond(rows, () => decoder.decode(encoded)),
    };
    process.stdout.write(`${JSON.stringify(result)}\n`);
  }
}
