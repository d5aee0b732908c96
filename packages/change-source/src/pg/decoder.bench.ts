/* Row changes decoded per second on one core, without a socket: `node decoder.bench.ts` prints JSON. */
import { writeSync } from 'node:fs';
import type { Lsn } from '@shapecast/log';
import { PgoutputDecoder } from './pgoutput/decoder.ts';
import { encode } from './pgoutput/encode-message.ts';
import { PartAssembler } from './pgoutput/part-assembler.ts';
import { XidWidener } from './pgoutput/xid.ts';

const OID = 16_384;
const ROWS_PER_TRANSACTION = 10;
const RUN_MS = 1_500;

const columns = ['id', 'tenant', 'title', 'done', 'priority', 'created_at', 'note', 'score'].map((name) => ({
  name,
  typeOid: 25,
  typeMod: -1,
}));

const short = ['123456', 'tenant-17', 'Buy milk and bread', 'f', '3', '2026-01-02 03:04:05+00', null, '0.25'];
const scenarios = {
  'insert, 8 short columns': [encode.insert(OID, short)],
  'update, 8 short columns': [encode.update(OID, { kind: 'O', cells: short }, short.with(3, 't'))],
  'delete, 8 short columns': [encode.delete(OID, { kind: 'O', cells: short })],
  'insert, accents': [encode.insert(OID, short.with(2, 'Acheter du café, s’il vous plaît'))],
  'insert, a cell of 200 bytes': [encode.insert(OID, short.with(6, 'x'.repeat(200)))],
  'insert, a cell of 10 kB': [encode.insert(OID, short.with(6, 'x'.repeat(10_000)))],
};

const results = Object.entries(scenarios).map(([scenario, messages]) => ({ scenario, ...measure(messages) }));
writeSync(1, `${JSON.stringify({ benchmark: 'pgoutput decoder', node: process.version, results }, undefined, 2)}\n`);

function measure(messages: readonly Buffer[]) {
  let changes = 0;
  const output = {
    part: (part: { readonly changes: readonly unknown[] }) => void (changes += part.changes.length),
    transactionEnd: () => {},
    relation: () => {},
  };
  const assembler = new PartAssembler(output, new XidWidener(1_000n));
  const decoder = new PgoutputDecoder(assembler, { maxRowBytes: 1 << 27, onUnknownKind: () => {} });
  decoder.decode(encode.relation(OID, 'public', 'items', 'f', columns));
  const begin = encode.begin(1_000n as Lsn, 1_800_000_000_000_000n, 1_000);
  const commit = encode.commit(1_000n as Lsn, 1_048n as Lsn);
  const run = (untilMs: number) => {
    while (performance.now() < untilMs) {
      for (let transaction = 0; transaction < 100; transaction += 1) {
        decoder.decode(begin);
        for (let row = 0; row < ROWS_PER_TRANSACTION; row += 1) for (const message of messages) decoder.decode(message);
        decoder.decode(commit);
      }
    }
  };
  run(performance.now() + RUN_MS / 3);
  changes = 0;
  const cpu = process.cpuUsage();
  run(performance.now() + RUN_MS);
  const { user, system } = process.cpuUsage(cpu);
  return {
    rowsPerCpuSecond: Math.round(changes / ((user + system) / 1e6)),
    microsecondsPerRow: Number(((user + system) / changes).toFixed(3)),
  };
}
