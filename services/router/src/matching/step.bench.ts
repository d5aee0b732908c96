/**
 * Microseconds per change for matching, serialising and building the append, with N shapes (1,000) `owner = '<n>'` on one
 * table in one shard; changes follow no order of the shapes. Prints one JSON line per case.
 * Run: `npm exec node services/router/src/matching/step.bench.ts [N]`, with `--max-old-space-size=8000` for a million.
 */
import { encodeRecord, POSITION_ZERO, RecordDecoder, type Change, type Lsn } from '@shapecast/log';
import type { ShardCursor } from '@shapecast/shape-store';
import { ITEMS, itemShape, pack, type Transaction } from '../testing/model.ts';
import type { StreamRecord } from '../stream/stream-record.ts';
import { ShardIndex } from './shard-index.ts';
import { Step } from './step.ts';

const SHAPES = Number(process.argv[2] ?? 1_000);
const CHANGES = 40_000;
const START: ShardCursor = { seq: 0, position: POSITION_ZERO, openTxSeq: 0 };

function transactions(kind: 'insert' | 'update' | 'miss', perTransaction: number): Transaction[] {
  const all: Transaction[] = [];
  for (let n = 0; n < CHANGES; n += perTransaction) {
    const changes = Array.from({ length: perTransaction }, (_, i): Change => {
      const id = String(n + i);
      const owner = kind === 'miss' ? 'nobody' : String(((n + i) * 7_919) % SHAPES);
      const row = [id, owner, `a note of ordinary length, number ${id}`];
      const base = { op: 2 * i, relation: ITEMS };
      if (kind !== 'update') return { kind: 'insert', ...base, new: row };
      return { kind: 'update', ...base, new: row, old: [id, owner, 'before'], changed: [2] };
    });
    all.push({ lsn: BigInt(1_000 + n) as Lsn, xid: BigInt(700 + n), changes });
  }
  return all;
}

function measure(name: string, records: readonly StreamRecord[], index: ShardIndex): void {
  const payloads = records.map(({ record }) => encodeRecord(record));
  let best = Infinity;
  let decodeBest = Infinity;
  let entries = 0;
  for (let round = 0; round < 8; round += 1) {
    const decodeStart = performance.now();
    const decoder = new RecordDecoder();
    const decoded = payloads.map((payload) => decoder.decode(payload));
    decodeBest = Math.min(decodeBest, performance.now() - decodeStart);
    const start = performance.now();
    let step = new Step(index, { cursor: START, held: undefined });
    entries = 0;
    decoded.forEach((record, i) => {
      if (record.kind === 'slice') return;
      step.add({ ...(records[i] as StreamRecord), record });
      if (step.size < 4_000) return;
      const { batch, held } = step.finish();
      entries += batch.entries.length;
      step = new Step(index, { cursor: batch.to, held });
    });
    entries += step.finish().batch.entries.length;
    best = Math.min(best, performance.now() - start);
  }
  const us = (ms: number) => Math.round((ms * 1e6) / CHANGES) / 1e3;
  const result = {
    case: name,
    shapes: SHAPES,
    changes: CHANGES,
    entries,
    usPerChange: us(best),
    decodeUsPerChange: us(decodeBest),
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

const equality = new ShardIndex();
equality.reset(Array.from({ length: SHAPES }, (_, n) => itemShape({ where: `owner = '${n}'` })));
const whole = new ShardIndex();
whole.reset(Array.from({ length: 10 }, () => itemShape()));

for (const perTransaction of [1, 100]) {
  const records = (kind: 'insert' | 'update' | 'miss') =>
    pack(
      transactions(kind, perTransaction),
      Array.from({ length: 200 }, (_, i) => i === 199),
    );
  measure(`insert, one shape each, ${perTransaction} per transaction`, records('insert'), equality);
  measure(`update, one shape each, ${perTransaction} per transaction`, records('update'), equality);
  measure(`insert, no shape, ${perTransaction} per transaction`, records('miss'), equality);
  measure(`insert, ten equal shapes each, ${perTransaction} per transaction`, records('insert'), whole);
}
