import type { Ancestor, Cell, Change, Relation, RelationColumn, TransactionPart, Tuple } from './change.ts';
import { checkFormat } from './formats.ts';
import { parseDecimalLsn, type Lsn } from './lsn.ts';
import type { DataRecord, RecordChain, TxRecord } from './record.ts';

/**
 * The stored form of tx-stream records (spec R 9.2): one JSON text per record, because V8 reads and writes JSON faster
 * than anything we could write in TypeScript. Positional arrays keep it small; 64-bit numbers are decimal strings.
 *
 *     {"v":1,"kind":"data","inc":1,"epoch":4,"prev":[lsn,op,progressLsn],"rels":[relation...],"parts":[part...]}
 *     relation  [oid, schema, name, replicaIdentity, [name, typeOid, typeMod, ...], keyColumns, [ancestor...]?]
 *     ancestor  [oid, columns | 0, keyColumns, xid, seenXmax]                    the last two only where it joined
 *     part      [lsn, endLsn, xid, commitTimeUs, flags, [change...]]        flags: 1 begin, 2 commit
 *     change    [0, rel, op, new] insert                [1, rel, op, new, [ordinal, old, ...]] update
 *               [2, rel, op, old] delete                [3, rel, op] truncate        [4, rel, op, reason] unusable
 *
 * An update carries the new row and only the old cells that differ. Readers must know `v` exactly: version 2 is written
 * only once every reader knows it (spec O 2.5).
 */
const VERSION = 1;

const BEGIN = 1;
const COMMIT = 2;

type RelationWire = [
  oid: number,
  schema: string,
  name: string,
  replicaIdentity: Relation['replicaIdentity'],
  columns: (string | number)[],
  keyColumns: readonly number[],
  ancestors?: AncestorWire[] | 0,
  published?: [xmax: string, running: number, by: string, ...above: string[]],
];
type AncestorWire = [
  oid: number,
  columns: readonly number[] | 0,
  keyColumns: readonly number[],
  xid?: string,
  seenXmax?: string,
];
type UnusableReason = 'no_old_row' | 'oversize';
type ChangeWire =
  | [code: 0, relation: number, op: number, row: Tuple]
  | [code: 1, relation: number, op: number, row: Tuple, old: (Cell | number)[]]
  | [code: 2, relation: number, op: number, row: Tuple]
  | [code: 3, relation: number, op: number]
  | [code: 4, relation: number, op: number, reason: UnusableReason];
type PartWire = [lsn: string, endLsn: string, xid: string, time: string, flags: number, changes: ChangeWire[]];
type ChainWire = [lsn: string, op: number, progressLsn: string];

interface BaseWire {
  readonly v: number;
  readonly inc: number;
  readonly epoch: number;
  readonly prev: ChainWire;
}
type RecordWire = BaseWire &
  (
    | { readonly kind: 'leader'; readonly holder: string }
    | { readonly kind: 'data'; readonly rels: RelationWire[]; readonly parts: PartWire[] }
    | { readonly kind: 'progress'; readonly lsn: string; readonly xmin: string }
    | {
        readonly kind: 'slice';
        readonly index: number;
        readonly count: number;
        readonly digest: string;
        readonly text: string;
      }
  );

/** Encodes a record as UTF-8. Throws RangeError when it would be longer than a string can be (about 512 MiB). */
export function encodeRecord(record: TxRecord): Uint8Array {
  return Buffer.from(recordText(record));
}

/** Decodes one record on its own. Whoever decodes many uses a `RecordDecoder`. Throws as that does. */
export function decodeRecord(payload: Uint8Array): TxRecord {
  return new RecordDecoder().decode(payload);
}

/**
 * Decodes records and hands out the same `Relation` object for the same descriptor, within a record and across records,
 * so that consumers can key caches by identity.
 */
export class RecordDecoder {
  readonly #relations = new Map<string, Relation>();
  readonly #maxRelations: number;

  /** `maxRelations` bounds the descriptors remembered; past it the oldest are forgotten, which only costs cache hits. */
  constructor(options: { readonly maxRelations?: number } = {}) {
    this.#maxRelations = options.maxRelations ?? 4_096;
  }

  /** Throws FORMAT_UNKNOWN for a record of a newer version, a plain Error for anything else that this version did not write. */
  decode(payload: Uint8Array): TxRecord {
    const wire = parseWire(payload);
    const base = { incarnation: wire.inc, epoch: wire.epoch, prev: decodeChain(wire.prev) };
    switch (wire.kind) {
      case 'leader':
        return { kind: 'leader', ...base, holder: wire.holder };
      case 'progress':
        return { kind: 'progress', ...base, lsn: decodeLsn(wire.lsn), xmin: BigInt(wire.xmin) };
      case 'slice':
        return {
          kind: 'slice',
          ...base,
          index: wire.index,
          count: wire.count,
          digest: wire.digest,
          text: wire.text,
        };
      case 'data': {
        const relations = wire.rels.map((relation) => this.#intern(relation));
        return { kind: 'data', ...base, parts: wire.parts.map((part) => decodePart(part, relations)) };
      }
      default:
        throw new Error(`tx-stream record of unknown kind ${JSON.stringify((wire as { kind: unknown }).kind)}`);
    }
  }

  #intern(wire: RelationWire): Relation {
    const key = JSON.stringify(wire);
    const known = this.#relations.get(key);
    if (known) return known;
    const relation = decodeRelation(wire);
    this.#relations.set(key, relation);
    if (this.#relations.size > this.#maxRelations) {
      for (const oldest of this.#relations.keys()) {
        this.#relations.delete(oldest);
        break;
      }
    }
    return relation;
  }
}

function recordText(record: TxRecord): string {
  const { position, progressLsn } = record.prev;
  const head =
    `{"v":${VERSION},"kind":"${record.kind}","inc":${record.incarnation},"epoch":${record.epoch},` +
    `"prev":["${position.lsn}",${position.op},"${progressLsn}"],`;
  switch (record.kind) {
    case 'leader':
      return `${head}"holder":${JSON.stringify(record.holder)}}`;
    case 'progress':
      return `${head}"lsn":"${record.lsn}","xmin":"${record.xmin}"}`;
    case 'slice':
      return (
        `${head}"index":${record.index},"count":${record.count},"digest":${JSON.stringify(record.digest)},` +
        `"text":${JSON.stringify(record.text)}}`
      );
    case 'data':
      return head + dataText(record);
  }
}

function dataText(record: DataRecord): string {
  const relations: string[] = [];
  const indexes = new Map<Relation, number>();
  // Runs of changes to one table are the rule: remembering the last one saves a map lookup per change.
  let lastRelation: Relation | undefined;
  let lastIndex = 0;
  const indexOf = (relation: Relation): number => {
    if (relation === lastRelation) return lastIndex;
    let index = indexes.get(relation);
    if (index === undefined) {
      index = relations.push(relationText(relation)) - 1;
      indexes.set(relation, index);
    }
    lastRelation = relation;
    lastIndex = index;
    return index;
  };
  const parts = record.parts.map((part) => encodePart(part, indexOf));
  return `"rels":[${relations.join(',')}],"parts":${JSON.stringify(parts)}}`;
}

/** A descriptor is written with every message and seldom changes. */
const relationTexts = new WeakMap<Relation, string>();

function relationText(relation: Relation): string {
  let text = relationTexts.get(relation);
  if (text === undefined) {
    const columns = relation.columns.flatMap((column) => [column.name, column.typeOid, column.typeMod]);
    const { oid, schema, name, replicaIdentity, keyColumns, ancestors, published } = relation;
    const wire: RelationWire = [oid, schema, name, replicaIdentity, columns, keyColumns];
    if (ancestors || published) wire.push(ancestors?.map(encodeAncestor) ?? 0);
    if (published) wire.push([String(published.xmax), published.running, published.by, ...published.above]);
    text = JSON.stringify(wire);
    relationTexts.set(relation, text);
  }
  return text;
}

function encodeAncestor({ oid, columns, keyColumns, joined }: Ancestor): AncestorWire {
  const wire: AncestorWire = [oid, columns ?? 0, keyColumns];
  if (joined) wire.push(String(joined.xid), String(joined.seenXmax));
  return wire;
}

function encodePart(part: TransactionPart, indexOf: (relation: Relation) => number): PartWire {
  const flags = (part.begin ? BEGIN : 0) | (part.commit ? COMMIT : 0);
  const changes = part.changes.map((change) => encodeChange(change, indexOf(change.relation)));
  return [String(part.lsn), String(part.endLsn), String(part.xid), String(part.commitTimeUs), flags, changes];
}

function encodeChange(change: Change, relation: number): ChangeWire {
  switch (change.kind) {
    case 'insert':
      return [0, relation, change.op, change.new];
    case 'update': {
      const old: (Cell | number)[] = [];
      for (const ordinal of change.changed) old.push(ordinal, change.old[ordinal] ?? null);
      return [1, relation, change.op, change.new, old];
    }
    case 'delete':
      return [2, relation, change.op, change.old];
    case 'truncate':
      return [3, relation, change.op];
    case 'unusable':
      return [4, relation, change.op, change.reason];
  }
}

function parseWire(payload: Uint8Array): RecordWire {
  let wire: RecordWire;
  try {
    const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
    wire = JSON.parse(bytes.toString('utf8')) as RecordWire;
  } catch (cause) {
    throw new Error('tx-stream record is not readable: damaged bytes', { cause });
  }
  const version = (wire as { v?: unknown } | null)?.v;
  if (typeof version === 'number' && version > VERSION) checkFormat('record', version);
  if (typeof wire !== 'object' || wire === null || wire.v !== VERSION) {
    throw new Error(
      `tx-stream record has format version ${JSON.stringify(version) ?? 'none'}, this process reads ${VERSION}`,
    );
  }
  return wire;
}

function decodeChain(wire: ChainWire): RecordChain {
  return { position: { lsn: decodeLsn(wire[0]), op: wire[1] }, progressLsn: decodeLsn(wire[2]) };
}

function decodeLsn(text: string): Lsn {
  const value = parseDecimalLsn(text);
  if (value === undefined) throw new Error('tx-stream record is not readable: an LSN is malformed');
  return value;
}

function decodeRelation(wire: RelationWire): Relation {
  const [oid, schema, name, replicaIdentity, flat, keyColumns, ancestors, published] = wire;
  const columns: RelationColumn[] = [];
  for (let i = 0; i < flat.length; i += 3) {
    columns.push({ name: flat[i] as string, typeOid: flat[i + 1] as number, typeMod: flat[i + 2] as number });
  }
  const relation: Relation = {
    ...{ oid, schema, name, replicaIdentity, columns, keyColumns },
    ...(ancestors ? { ancestors: ancestors.map(decodeAncestor) } : {}),
  };
  if (published === undefined) return relation;
  const [xmax, running, by, ...above] = published;
  return { ...relation, published: { xmax: BigInt(xmax), running, by, above } };
}

function decodeAncestor([oid, columns, keyColumns, xid, seenXmax]: AncestorWire): Ancestor {
  return {
    oid,
    ...(columns === 0 ? {} : { columns }),
    keyColumns,
    ...(xid === undefined || seenXmax === undefined
      ? {}
      : { joined: { xid: BigInt(xid), seenXmax: BigInt(seenXmax) } }),
  };
}

function decodePart(wire: PartWire, relations: readonly Relation[]): TransactionPart {
  const [lsn, endLsn, xid, time, flags, changes] = wire;
  return {
    lsn: decodeLsn(lsn),
    endLsn: decodeLsn(endLsn),
    xid: BigInt(xid),
    commitTimeUs: BigInt(time),
    begin: (flags & BEGIN) !== 0,
    commit: (flags & COMMIT) !== 0,
    changes: changes.map((change) => decodeChange(change, relations)),
  };
}

function decodeChange(wire: ChangeWire, relations: readonly Relation[]): Change {
  const op = wire[2];
  const relation = relations[wire[1]];
  if (!relation) throw new Error('tx-stream record is not readable: a change names a relation it does not carry');
  switch (wire[0]) {
    case 0:
      return { kind: 'insert', op, relation, new: wire[3] };
    case 1: {
      const old = wire[3].slice();
      const changed: number[] = [];
      const cells = wire[4];
      for (let i = 0; i < cells.length; i += 2) {
        const ordinal = cells[i] as number;
        changed.push(ordinal);
        old[ordinal] = cells[i + 1] as Cell;
      }
      return { kind: 'update', op, relation, new: wire[3], old, changed };
    }
    case 2:
      return { kind: 'delete', op, relation, old: wire[3] };
    case 3:
      return { kind: 'truncate', op, relation };
    case 4:
      return { kind: 'unusable', op, relation, reason: wire[3] };
    default:
      throw new Error(`tx-stream record has a change of unknown kind ${JSON.stringify((wire as unknown[])[0])}`);
  }
}
