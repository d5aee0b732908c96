import type { Relation, RowChange, Tuple } from '@shapecast/log';
import { parseWhere, type WhereClause } from '@shapecast/where';
import { TableIndex } from './table-index.ts';

/**
 * The acceptance cases of spec W 9.11, matcher only. Prints one JSON line per case:
 * `node --expose-gc table-index.bench.ts [case]`, with `a` to `g` or `ratio`; without an argument all of them.
 */

const RELATION: Relation = {
  oid: 1,
  schema: 'public',
  name: 'items',
  replicaIdentity: 'f',
  columns: [
    { name: 'id', typeOid: 20, typeMod: -1 },
    { name: 'owner', typeOid: 2950, typeMod: -1 },
    { name: 'status', typeOid: 25, typeMod: -1 },
    { name: 'price', typeOid: 701, typeMod: -1 },
    { name: 'path', typeOid: 25, typeMod: -1 },
    ...Array.from({ length: 10 }, (_, i) => ({ name: `c${i}`, typeOid: 23, typeMod: -1 })),
  ],
  keyColumns: [0],
};

const C_UTF8 = { provider: 'libc', collate: 'C.UTF-8', ctype: 'C.UTF-8', deterministic: true } as const;
const COLUMNS = RELATION.columns.map((column) => (column.typeOid === 25 ? { ...column, collation: C_UTF8 } : column));

const STATUSES = ['open', 'closed', 'pending', 'archived'];

interface Case {
  readonly name: string;
  readonly shapes: number;
  readonly clause: (i: number) => string;
  /** Changes to measure; each has to be made only once, because a string that was hashed before is cheaper. */
  readonly rows: number;
  readonly row: (n: number) => Tuple;
  /** Part of the shapes replaced per second of matching. */
  readonly churn?: number;
}

function uuid(i: number): string {
  const mixed = Math.imul(i + 1, 0x9e3779b1) >>> 0;
  return `${mixed.toString(16).padStart(8, '0')}-9c0b-4ef8-bb6d-${i.toString(16).padStart(12, '0')}`;
}

function pseudoRandom(n: number): number {
  let x = Math.imul(n + 1, 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return ((x ^ (x >>> 16)) >>> 0) / 2 ** 32;
}

/** Fresh strings, as decoding a message makes them. */
function cells(n: number, given: Readonly<Record<string, string>>): Tuple {
  const values = RELATION.columns.map(({ name }) => given[name] ?? String(n % 1000));
  return Buffer.from(values.join('|')).toString('latin1').split('|');
}

const MILLION = 1_000_000;

function path(n: number): string {
  return `${Math.floor(pseudoRandom(n) * 1e6).toString(36)}/${n.toString(36)}`;
}

const CASES: Readonly<Record<string, Case>> = {
  a: {
    name: '(a) owner = uuid AND status = text',
    shapes: MILLION,
    clause: (i) => `owner = '${uuid(i)}' AND status = '${STATUSES[i % 4] as string}'`,
    rows: 400_000,
    row: (n) => {
      const i = Math.floor(pseudoRandom(n) * 1.25 * MILLION);
      return cells(n, { owner: uuid(i), status: STATUSES[i % 4] as string });
    },
  },
  b: {
    name: '(b) price BETWEEN, 10 matches a row',
    shapes: 100_000,
    clause: (i) => {
      const low = pseudoRandom(i) * 1e6;
      return `price BETWEEN ${low} AND ${low + 100 * pseudoRandom(i + MILLION) * 2}`;
    },
    rows: 300_000,
    row: (n) => cells(n, { price: String(pseudoRandom(n + 7) * 1e6), owner: uuid(n), status: 'open' }),
  },
  c: {
    name: "(c) path LIKE 'prefix%'",
    shapes: 100_000,
    clause: (i) => `path LIKE '${path(i).slice(0, 3 + (i % 6))}%'`,
    rows: 300_000,
    row: (n) => cells(n, { path: path(Math.floor(pseudoRandom(n) * 200_000)), owner: uuid(n), status: 'open' }),
  },
  d: {
    name: '(d) id IN (20 values)',
    shapes: 100_000,
    clause: (i) => {
      const ids = Array.from({ length: 20 }, (_, k) => Math.floor(pseudoRandom(i * 20 + k) * 2 * MILLION));
      return `id IN (${ids.join(',')})`;
    },
    rows: 300_000,
    row: (n) => cells(n, { id: String(Math.floor(pseudoRandom(n + 3) * 2 * MILLION)), owner: uuid(n), status: 'open' }),
  },
  e: {
    name: '(e) 10,000 clauses without index, 5 templates',
    shapes: 10_000,
    clause: (i) => {
      const forms = [
        `c0 + ${i} < c1`,
        `c0 > c1 + ${i} AND price > c2`,
        `(c0 < c1) = (c2 < c3) AND c4 + ${i} < c5`,
        `path NOT LIKE '%${i}%x%' AND c0 + 2000 < c1`,
        `length(path) + ${i} < c1`,
      ];
      return forms[i % 5] as string;
    },
    rows: 4000,
    row: (n) => cells(n, { path: path(n), owner: uuid(n), status: 'open' }),
  },
  g: {
    name: '(g) mixed, 40 templates, 1 % churn a second',
    shapes: MILLION,
    clause: mixedClause,
    rows: 400_000,
    row: (n) => {
      const i = Math.floor(pseudoRandom(n) * MILLION);
      const given: Record<string, string> = { owner: uuid(i), status: STATUSES[i % 4] as string, path: path(i) };
      for (let c = 0; c < 10; c++) given[`c${c}`] = String(Math.floor(pseudoRandom(n * 10 + c) * MILLION));
      return cells(n, given);
    },
    churn: 0.01,
  },
};

/** 10 columns with 4 forms each. */
function mixedClause(i: number): string {
  const column = `c${i % 10}`;
  const value = Math.floor(pseudoRandom(i) * MILLION);
  switch (Math.floor(i / 10) % 4) {
    case 0:
      return `${column} = ${value}`;
    case 1:
      return `${column} = ${value} AND status = '${STATUSES[i % 4] as string}'`;
    case 2:
      return `${column} IN (${value}, ${value + 1}) AND owner = '${uuid(i)}'`;
    default:
      return `owner = '${uuid(i)}' AND ${column} > ${value % 1000}`;
  }
}

function parse(text: string): WhereClause {
  const parsed = parseWhere(text, {}, COLUMNS);
  if (!parsed.ok) throw new Error(`${text}: ${parsed.message}`);
  return parsed.clause;
}

function measure({ name, shapes, clause, rows, row, churn }: Case): { readonly rowsPerS: number } {
  const index = new TableIndex<number>(RELATION.columns, { seed: 12_345, byTicket: true });
  const before = heap();
  const tickets: number[] = [];
  const adds = timesOf(shapes, (i) => {
    const parsed = parse(clause(i));
    return () => tickets.push(index.add(i, parsed));
  });
  const bytesPerShape = Math.round((heap() - before - 8 * shapes) / shapes);
  const changes = (count: number, from: number): RowChange[] =>
    Array.from({ length: count }, (_, n) => ({ kind: 'insert', op: 0, relation: RELATION, new: row(from + n) }));
  let matched = 0;
  const emit = (): void => void matched++;
  for (const change of changes(Math.min(5000, rows), rows)) index.match(change, emit, emit);
  matched = 0;
  // Churn comes between rows, as it does between transactions.
  let replaced = 0;
  const static_ = throughput(index, changes, rows, emit);
  const perMatch = matched / rows;
  const moving =
    churn === undefined
      ? undefined
      : throughput(index, changes, rows, emit, {
          perSecond: churn * shapes,
          prepare: () => {
            const at = replaced++ % shapes;
            const parsed = parse(clause(shapes + at));
            return () => {
              index.removeTicket(tickets[at] as number);
              tickets[at] = index.add(at, parsed);
            };
          },
        });
  const { candidatesPerRow, evaluationsPerMatch, scanShare, byKind, templates } = index.report();
  const removes = timesOf(shapes, (i) => () => index.removeTicket(tickets[i] as number));
  print({
    name,
    shapes,
    ...static_,
    ...(moving && { churning: moving }),
    addUs: adds.meanUs,
    removeUs: removes.meanUs,
    longestPauseMs: Math.max(adds.longestMs, removes.longestMs),
    bytesPerShape,
    matchesPerRow: round(perMatch),
    candidatesPerRow: round(candidatesPerRow),
    evaluationsPerMatch: round(evaluationsPerMatch),
    scanShare: round(scanShare),
    templates,
    byKind,
  });
  return static_;
}

interface Churn {
  readonly perSecond: number;
  /** Makes the next replacement of a shape ready; parsing it is somebody else's work. */
  readonly prepare: () => () => void;
}

function throughput(
  index: TableIndex<number>,
  changes: (count: number, from: number) => RowChange[],
  rows: number,
  emit: () => void,
  churn?: Churn,
): { rowsPerS: number; rowsPerCpuS: number; p99Us: number; longestMs: number } {
  const times = new Float64Array(rows);
  const batch = 2000;
  let spentMs = 0;
  let due = 0;
  let longest = 0;
  let cpuUs = 0;
  const ready: (() => void)[] = [];
  for (let from = 0; from < rows; from += batch) {
    const made = changes(Math.min(batch, rows - from), from);
    while (churn !== undefined && ready.length < batch) ready.push(churn.prepare());
    const cpu = process.cpuUsage();
    for (const [n, change] of made.entries()) {
      const start = performance.now();
      index.match(change, emit, emit);
      times[from + n] = performance.now() - start;
      due += ((times[from + n] as number) / 1000) * (churn?.perSecond ?? 0);
      for (; due >= 1; due--) ready.pop()?.();
      const ms = performance.now() - start;
      longest = Math.max(longest, ms);
      spentMs += ms;
    }
    const used = process.cpuUsage(cpu);
    cpuUs += used.user + used.system;
  }
  times.sort();
  const p99Us = round((times[Math.floor(rows * 0.99)] as number) * 1000);
  // Per second of processor time: what a machine that has other things to do would show without them.
  const rowsPerCpuS = Math.round(rows / (cpuUs / 1e6));
  return { rowsPerS: Math.round(rows / (spentMs / 1000)), rowsPerCpuS, p99Us, longestMs: round(longest) };
}

/** Mean and longest time of the second steps; what the first ones prepare is not counted. */
function timesOf(count: number, prepare: (i: number) => () => unknown): { meanUs: number; longestMs: number } {
  let spent = 0;
  let longest = 0;
  const batch = 1000;
  for (let from = 0; from < count; from += batch) {
    const steps = Array.from({ length: Math.min(batch, count - from) }, (_, i) => prepare(from + i));
    for (const step of steps) {
      const start = performance.now();
      step();
      const ms = performance.now() - start;
      spent += ms;
      if (ms > longest) longest = ms;
    }
  }
  return { meanUs: round((spent * 1000) / count), longestMs: round(longest) };
}

function heap(): number {
  globalThis.gc?.();
  globalThis.gc?.();
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  return heapUsed + Math.max(external, arrayBuffers);
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/**
 * How much a million shapes slow down a row, against ten of the same kind: once where rows belong to ten of the shapes, which
 * tells what the index costs, and once where each row belongs to any of them, which adds what memory costs.
 */
function ratio(): void {
  const equality = (shapes: number, hot: number): Case => ({
    name: `c0 = constant, ${shapes} shapes, rows of ${hot}`,
    shapes,
    clause: (i) => `c0 = ${i}`,
    rows: 400_000,
    row: (n) => cells(n, { c0: String(Math.floor(pseudoRandom(n) * hot)), owner: uuid(n), status: 'open' }),
  });
  const few = measure(equality(10, 10));
  for (const hot of [10, 1000, MILLION]) {
    const many = measure(equality(MILLION, hot));
    print({ name: '1,000,000 shapes / 10', rowsOf: hot, ratio: round(many.rowsPerS / few.rowsPerS) });
  }
}

const wanted = process.argv[2];
for (const [letter, one] of Object.entries(CASES)) if (wanted === undefined || wanted === letter) measure(one);
if (wanted === undefined || wanted === 'ratio') ratio();
