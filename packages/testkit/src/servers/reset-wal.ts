import { open, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import type { TestPostgres } from './postgres.ts';

export interface ResetWalOptions {
  /** Where the WAL goes on; a multiple of the segment size, 16 MiB. Near where it stands when unset. */
  readonly lsn?: bigint;
  /** The next transaction id, with its epoch. Where it stands when unset. */
  readonly nextXid?: bigint;
}

/** Places in `global/pg_control` that are the same from 14 to 18 (Postgres: pg_control.h), from its start ... */
const CONTROL = { state: 16, checkPoint: 32, checkPointCopy: 40 } as const;
/** ... and from the start of the checkpoint in it. */
const CHECKPOINT = { redo: 0, timeline: 8, nextXid: 24 } as const;
const SHUT_DOWN = 1;

const SEGMENT_BYTES = 16 * 1024 * 1024;
const PAGE_BYTES = 8_192;
const LONG_PAGE_HEADER_BYTES = 40;
const RECORD_HEADER_BYTES = 24;
const DATA_HEADER_BYTES = 2;
/** Transactions whose outcome one file of `pg_xact` holds, two bits each. */
const XIDS_PER_FILE = 32 * PAGE_BYTES * 4;

/**
 * Does to a server that was stopped in good order what `pg_resetwal -l -x -e` does; npm's binaries come without that program.
 * The data folder must be a lasting one.
 */
export async function resetWal(server: TestPostgres, options: ResetWalOptions): Promise<void> {
  const controlFile = join(server.dataDir, 'global', 'pg_control');
  const control = await readFile(controlFile);
  const crcAt = findCrc(control);
  if (control.readUInt32LE(CONTROL.state) !== SHUT_DOWN) throw new Error('the server was not stopped in good order');
  const segments = join(server.dataDir, 'pg_wal');
  const oldLsn = control.readBigUInt64LE(CONTROL.checkPoint);
  const timeline = control.readUInt32LE(CONTROL.checkPointCopy + CHECKPOINT.timeline);
  const oldSegment = await readFile(join(segments, segmentName(timeline, oldLsn)));
  const at = Number(oldLsn % BigInt(SEGMENT_BYTES));
  const checkpointBytes = oldSegment.readUInt32LE(at) - RECORD_HEADER_BYTES - DATA_HEADER_BYTES;

  const segmentStart = options.lsn ?? (oldLsn / BigInt(SEGMENT_BYTES) + 1n) * BigInt(SEGMENT_BYTES);
  if (segmentStart % BigInt(SEGMENT_BYTES) !== 0n) throw new Error('WAL can go on at the start of a segment only');
  const lsn = segmentStart + BigInt(LONG_PAGE_HEADER_BYTES);
  const checkpoint = control.subarray(CONTROL.checkPointCopy, CONTROL.checkPointCopy + checkpointBytes);
  checkpoint.writeBigUInt64LE(lsn, CHECKPOINT.redo);
  if (options.nextXid !== undefined) {
    checkpoint.writeBigUInt64LE(options.nextXid, CHECKPOINT.nextXid);
    await provideOutcomes(server.dataDir, options.nextXid);
  }
  control.writeBigUInt64LE(lsn, CONTROL.checkPoint);
  control.writeUInt32LE(crc32c(control.subarray(0, crcAt)), crcAt);

  const segment = Buffer.alloc(SEGMENT_BYTES);
  oldSegment.copy(segment, 0, 0, LONG_PAGE_HEADER_BYTES);
  segment.writeBigUInt64LE(segmentStart, 8);
  segment.writeUInt32LE(0, 16);
  checkpointRecord(checkpoint).copy(segment, LONG_PAGE_HEADER_BYTES);
  const owner = await stat(controlFile);
  for (const entry of await readdir(segments, { withFileTypes: true })) {
    if (entry.isFile()) await rm(join(segments, entry.name));
  }
  await writeOwned(join(segments, segmentName(timeline, segmentStart)), segment, owner);
  await writeOwned(controlFile, control, owner);
}

/**
 * Lets the ids of a fresh, running server grow up to `nextXid`, as years of transactions would: all rows are frozen on the way, so
 * that none of them seems to lie in the future. Ends with the server running.
 */
export async function ageTo(server: TestPostgres, nextXid: bigint, lsn?: bigint): Promise<void> {
  const epoch = nextXid & ~0xffff_ffffn;
  const low = nextXid - epoch;
  // Half of all ids at a time: what is further away counts as the future.
  const stages = [2_000_000_000n, 4_000_000_000n].filter((stage) => stage < low);
  for (const stage of stages) {
    await restart(server, { nextXid: stage });
    await freezeAll(server.url);
  }
  await restart(server, { nextXid, ...(lsn === undefined ? {} : { lsn }) });
}

async function restart(server: TestPostgres, options: ResetWalOptions): Promise<void> {
  await server.stop();
  await resetWal(server, options);
  await server.start();
}

async function freezeAll(url: string): Promise<void> {
  const run = async (database: string, ...statements: string[]): Promise<void> => {
    const target = new URL(url);
    target.pathname = `/${database}`;
    const client = new pg.Client({ connectionString: target.href });
    await client.connect();
    try {
      for (const statement of statements) await client.query(statement);
    } finally {
      await client.end();
    }
  };
  await run('postgres', `update pg_database set datallowconn = true where datname = 'template0'`);
  for (const database of ['template1', 'template0', 'postgres']) await run(database, 'vacuum freeze', 'checkpoint');
  await run('postgres', `update pg_database set datallowconn = false where datname = 'template0'`, 'vacuum freeze');
}

function segmentName(timeline: number, lsn: bigint): string {
  const hex = (value: bigint) => value.toString(16).toUpperCase().padStart(8, '0');
  const perLog = (1n << 32n) / BigInt(SEGMENT_BYTES);
  const number = lsn / BigInt(SEGMENT_BYTES);
  return hex(BigInt(timeline)) + hex(number / perLog) + hex(number % perLog);
}

/** XLOG_CHECKPOINT_SHUTDOWN of the resource manager XLOG: both are zero, as are its xid and the place of the record before. */
function checkpointRecord(checkpoint: Buffer): Buffer {
  const record = Buffer.alloc(RECORD_HEADER_BYTES + DATA_HEADER_BYTES + checkpoint.length);
  record.writeUInt32LE(record.length, 0);
  record.writeUInt8(0xff, RECORD_HEADER_BYTES);
  record.writeUInt8(checkpoint.length, RECORD_HEADER_BYTES + 1);
  checkpoint.copy(record, RECORD_HEADER_BYTES + DATA_HEADER_BYTES);
  // First what follows the header, then the header up to the sum itself.
  const sum = crc32c(
    Buffer.concat([record.subarray(RECORD_HEADER_BYTES), record.subarray(0, RECORD_HEADER_BYTES - 4)]),
  );
  record.writeUInt32LE(sum, RECORD_HEADER_BYTES - 4);
  return record;
}

/** A whole file of outcomes for the ids around `nextXid`, which the server wants to find there. */
async function provideOutcomes(dataDir: string, nextXid: bigint): Promise<void> {
  const number = Math.floor(Number(nextXid & 0xffff_ffffn) / XIDS_PER_FILE);
  const path = join(dataDir, 'pg_xact', number.toString(16).toUpperCase().padStart(4, '0'));
  const known = await readFile(path).catch(() => Buffer.alloc(0));
  const whole = Buffer.alloc(XIDS_PER_FILE / 4);
  known.copy(whole);
  await writeOwned(path, whole, await stat(join(dataDir, 'pg_xact')));
}

async function writeOwned(path: string, bytes: Buffer, owner: { readonly uid: number; readonly gid: number }) {
  const file = await open(path, 'w', 0o600);
  try {
    await file.write(bytes);
    if (process.getuid?.() === 0) await file.chown(owner.uid, owner.gid);
  } finally {
    await file.close();
  }
}

/** Where the sum over all that comes before it stands; it moves with the version. */
function findCrc(control: Buffer): number {
  for (let at = 200; at < 512; at += 4) {
    if (control.readUInt32LE(at) === crc32c(control.subarray(0, at))) return at;
  }
  throw new Error('pg_control has no checksum that fits');
}

const CRC_TABLE = Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0x82f6_3b78 : value >>> 1;
  return value >>> 0;
});

/** CRC-32C (Castagnoli). */
function crc32c(bytes: Buffer): number {
  let sum = 0xffff_ffff;
  for (const byte of bytes) sum = (CRC_TABLE[(sum ^ byte) & 0xff] as number) ^ (sum >>> 8);
  return (sum ^ 0xffff_ffff) >>> 0;
}
