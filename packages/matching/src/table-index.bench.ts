import type { Relation, RowChange, Tuple } from '@shapecast/log';
import { parseWhere } from '@shapecast/where';
import { TableIndex } from './table-index.ts';

/** What matching one change costs. Prints one JSON line per case: `node table-index.bench.ts`. */

const RELATION: Relation = {
  oid: 1,
  schema: 'public',
  name: 'items',
  replicaIdentity: 'f',
  columns: [
    { name: 'id', typeOid: 23, typeMod: -1 },
    { name: 'owner', typeOid: 2950, typeMod: -1 },
    { name: 'status', typeOid: 25, typeMod: -1 },
    { name: 'price', typeOid: 1700, typeMod: -1 },
  ],
  keyColumns: [0],
};

const CHANGES = 200_000;

function uuid(i: number): string {
  return `a0eebc99-9c0b-4ef8-bb6d-${i.toString(16).padStart(12, '0')}`;
}

function row(i: number): Tuple {
  // Fresh strings, as decoding a message makes them: a string that was hashed before is cheaper to look up.
  return Buffer.from(`${i}|${uuid(i)}|open|${i}.50`)
    .toString('latin1')
    .split('|');
}

function measure(name: string, shapes: number, clauseOf: (i: number) => string, kind: 'insert' | 'update'): void {
  const index = new TableIndex<number>(RELATION.columns);
  const clauses = Array.from({ length: shapes }, (_, i) => {
    const parsed = parseWhere(clauseOf(i), {}, RELATION.columns);
    if (!parsed.ok) throw new Error(parsed.message);
    return parsed.clause;
  });
  const memoryBefore = heap();
  const addStart = performance.now();
  for (const [i, clause] of clauses.entries()) index.add(i, clause);
  const addUs = ((performance.now() - addStart) * 1000) / shapes;
  const bytesPerShape = Math.round((heap() - memoryBefore) / shapes);
  const runs = clauses.length > 1000 || index.scannedSize === 0 ? CHANGES : 2000;
  const changes: RowChange[] = Array.from({ length: runs }, (_, n) => {
    const i = (n * 7919) % (2 * shapes);
    if (kind === 'insert') return { kind, op: 0, relation: RELATION, new: row(i) };
    const old = row(i);
    return {
      kind,
      op: 0,
      relation: RELATION,
      old,
      new: [old[0] ?? null, old[1] ?? null, 'closed', '1'],
      changed: [2, 3],
    };
  });
  let hits = 0;
  const emit = (): void => void hits++;
  for (const change of changes.slice(0, 2000)) index.match(change, emit, emit);
  hits = 0;
  const start = performance.now();
  for (const change of changes) index.match(change, emit, emit);
  const nsPerChange = Math.round(((performance.now() - start) * 1e6) / changes.length);
  const matchesPerChange = hits / changes.length;
  const removeStart = performance.now();
  for (let i = 0; i < shapes; i++) index.remove(i);
  const removeUs = ((performance.now() - removeStart) * 1000) / shapes;
  const rounded = { addUs: round(addUs), removeUs: round(removeUs), matchesPerChange: round(matchesPerChange) };
  process.stdout.write(`${JSON.stringify({ name, kind, shapes, nsPerChange, bytesPerShape, ...rounded })}\n`);
}

function heap(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

for (const shapes of [1000, 100_000]) {
  for (const kind of ['insert', 'update'] as const) {
    measure('id = const', shapes, (i) => `id = ${i}`, kind);
    measure("owner = const AND status = 'open'", shapes, (i) => `owner = '${uuid(i)}' AND status = 'open'`, kind);
  }
}
measure(
  'id IN (20 constants)',
  10_000,
  (i) => `id IN (${Array.from({ length: 20 }, (_, n) => i * 20 + n).join(',')})`,
  'insert',
);
measure('price > const (scanned)', 1000, (i) => `price > ${i}`, 'insert');
