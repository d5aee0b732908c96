import { randomInt } from 'node:crypto';
import type { SnapshotInfo, SourceDatabase } from '@shapecast/change-source';
import { isShapecastError, type ErrorCode } from '@shapecast/errors';
import type { Cell } from '@shapecast/log';
import { subsetSubject, type Rpc, type SubsetMetadata, type SubsetQuery } from '@shapecast/messaging';
import { RowEncoder } from '@shapecast/protocol';
import type { Clock, Logger } from '@shapecast/service-kit';
import type { FairSlots } from '../process/fair-slots.ts';
import type { SourceQuotas } from '../quotas/source-quotas.ts';
import type { SourceMetrics } from '../telemetry/source-metrics.ts';
import { Handoff } from './handoff.ts';
import { parseSubsetQuery } from './parse-query.ts';
import { SubsetSlots } from './subset-slots.ts';

interface SubsetServerDeps {
  readonly rpc: Rpc;
  readonly database: SourceDatabase;
  /** Shared with the other sources of the process. */
  readonly slots: FairSlots;
  readonly metrics: SourceMetrics;
  readonly clock: Clock;
  readonly log: Logger;
}

interface SubsetServerOptions {
  readonly source: string;
  readonly quotas: () => Pick<SourceQuotas, 'subsetSlots'>;
  /** How long Postgres may work on one (SU-12). */
  readonly timeoutMs: number;
}

/** Characters of a frame's rows, give or take a row. */
const FRAME_LENGTH = 64 * 1024;
/** The mark is in 0 ... 2^31 - 1 (SU-7). */
const MARKS = 2 ** 31;
/** Outcomes that are the asker's affair. */
const EXPECTED: ReadonlySet<ErrorCode> = new Set(['INVALID_REQUEST', 'OVERLOADED', 'SCHEMA_CHANGED']);

/**
 * Runs the subset queries that API pods ask for (spec H 13, R 10.9): a bounded number at a time, each as fast as its reader
 * takes the rows, and cancelled in Postgres when the reader leaves. Any router of the source can run any of them.
 */
export class SubsetServer {
  readonly #deps: SubsetServerDeps;
  readonly #options: SubsetServerOptions;
  readonly #slots: SubsetSlots;

  constructor(deps: SubsetServerDeps, options: SubsetServerOptions) {
    this.#deps = deps;
    this.#options = options;
    const size = () => options.quotas().subsetSlots;
    const shared = (signal: AbortSignal) => deps.slots.take(options.source, signal);
    this.#slots = new SubsetSlots(deps.clock, { size, shared });
  }

  /** Serves until the returned function is called. */
  serve(): () => void {
    return this.#deps.rpc.serveStream(subsetSubject(this.#options.source), (request, signal) =>
      this.#answer(request, signal),
    );
  }

  /** Queries that got no place in time. */
  get refused(): number {
    return this.#slots.refused;
  }

  report(): { readonly running: number; readonly waiting: number } {
    return { running: this.#slots.running, waiting: this.#slots.waiting };
  }

  async *#answer(request: unknown, signal: AbortSignal): AsyncGenerator<Uint8Array, void, void> {
    const query = parseSubsetQuery(request);
    const release = await this.#slots.take(signal);
    const frames = new Handoff<Uint8Array>();
    const leaving = new AbortController();
    const reading = this.#read(query, frames, AbortSignal.any([signal, leaving.signal]));
    try {
      yield* frames;
    } catch (err) {
      const expected = signal.aborted || (isShapecastError(err) && EXPECTED.has(err.code));
      if (!expected) this.#deps.log.warn({ err, oid: query.oid }, 'a subset could not be read');
      throw err;
    } finally {
      const gone = new Error('the reader of the subset left');
      leaving.abort(gone);
      frames.close(gone);
      // The place is free when Postgres is done with it.
      await reading;
      release();
    }
  }

  /** Ends the frames with what came of it; never rejects. */
  async #read(query: SubsetQuery, frames: Handoff<Uint8Array>, signal: AbortSignal): Promise<void> {
    const { schema, table, oid, orderBy, limit, offset } = query;
    const mark = randomInt(MARKS);
    let [rowCount, bytes] = [0, 0];
    const columns = [...new Set([...query.keyColumns, ...query.columns])];
    try {
      const encoder = new RowEncoder({ ...query, replica: 'default' }, columns);
      await this.#deps.database.subset(
        {
          ...{ schema, table, oid, columns, orderBy },
          ...(limit === undefined ? {} : { limit }),
          ...(offset === undefined ? {} : { offset }),
          conditions: [query.shapeWhere, query.subsetWhere].filter((condition) => condition !== ''),
          timeoutMs: this.#options.timeoutMs,
        },
        {
          onSnapshot: (info) => frames.put(encodeMetadata(info, mark)),
          onRows: async (rows) => {
            rowCount += rows.length;
            bytes += await putRows(rows, (row) => encoder.subsetRow(row, mark), frames);
          },
        },
        signal,
      );
      this.#deps.metrics.subset(rowCount, bytes);
      frames.end();
    } catch (error) {
      frames.end({ error });
    }
  }
}

/** In frames of about one size; each is made when the one before was taken. Returns their bytes. */
async function putRows(
  rows: readonly (readonly Cell[])[],
  encode: (row: readonly Cell[]) => string,
  frames: Handoff<Uint8Array>,
): Promise<number> {
  let text = '';
  let bytes = 0;
  const put = (frame: Buffer) => {
    bytes += frame.length;
    return frames.put(frame);
  };
  for (const row of rows) {
    text += text === '' ? encode(row) : `,${encode(row)}`;
    if (text.length < FRAME_LENGTH) continue;
    await put(Buffer.from(text));
    text = '';
  }
  if (text !== '') await put(Buffer.from(text));
  return bytes;
}

function encodeMetadata({ xmin, xmax, xip, insertLsn }: SnapshotInfo, mark: number): Uint8Array {
  const metadata: SubsetMetadata = {
    xmin: String(xmin),
    xmax: String(xmax),
    xip_list: xip.map(String),
    database_lsn: String(insertLsn),
    snapshot_mark: mark,
  };
  return Buffer.from(JSON.stringify(metadata));
}
