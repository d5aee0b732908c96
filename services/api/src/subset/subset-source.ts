import { isShapecastError } from '@shapecast/errors';
import { subsetSubject, type Rpc, type SubsetMetadata, type SubsetQuery } from '@shapecast/messaging';
import { Backoff, type Clock } from '@shapecast/service-kit';
import type { SnapshotVisibility } from '@shapecast/shape-store';

/** A subset whose rows have begun to arrive. Whoever has it closes it. */
export interface OpenSubset {
  /** JSON text of an object. */
  readonly metadata: Uint8Array;
  readonly visibility: Pick<SnapshotVisibility, 'xmin' | 'xmax' | 'xip'>;
  /** JSON text of rows, pieces separated by commas. Throws when the rest is lost. */
  readonly rows: AsyncIterable<Uint8Array>;
  /** Ends the work at the router, if it is not done. */
  readonly close: () => Promise<void>;
}

interface SubsetSourceDeps {
  readonly rpc: Rpc;
  readonly clock: Clock;
}

interface SubsetSourceOptions {
  readonly source: string;
  /** For a router that can ask the database. */
  readonly readyTimeoutMs: number;
  /** For the next rows. Longer than a router lets a query run. */
  readonly frameTimeoutMs: number;
}

/** Subset snapshots as routers deliver them. */
export class SubsetSource {
  readonly #deps: SubsetSourceDeps;
  readonly #options: SubsetSourceOptions;

  constructor(deps: SubsetSourceDeps, options: SubsetSourceOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Asks until a router answers, for as long as requests wait for the service (O 1.3.2). Throws what the router threw. */
  async open(query: SubsetQuery, signal: AbortSignal): Promise<OpenSubset> {
    const { clock } = this.#deps;
    const deadline = clock.now() + this.#options.readyTimeoutMs;
    const backoff = new Backoff(clock, { minMs: 50, maxMs: 500 });
    for (;;) {
      try {
        return await this.#ask(query, signal);
      } catch (err) {
        const mayRecover = isShapecastError(err, 'NOT_READY') || isShapecastError(err, 'SOURCE_UNAVAILABLE');
        if (!mayRecover || clock.now() >= deadline) throw err;
        await backoff.wait(signal);
      }
    }
  }

  /** The first rows are waited for too: a query that fails does so before them, when the answer can still say why. */
  async #ask(query: SubsetQuery, signal: AbortSignal): Promise<OpenSubset> {
    const { source, frameTimeoutMs } = this.#options;
    const stream = this.#deps.rpc.stream(subsetSubject(source), query, { timeoutMs: frameTimeoutMs, signal });
    const frames = stream[Symbol.asyncIterator]();
    const close = async (): Promise<void> => void (await frames.return?.());
    try {
      const head = await frames.next();
      if (head.done === true) throw new Error('a subset without metadata');
      const first = await frames.next();
      return { metadata: head.value, visibility: visibilityOf(head.value), rows: rowsOf(first, frames), close };
    } catch (err) {
      await close();
      throw err;
    }
  }
}

async function* rowsOf(
  first: IteratorResult<Uint8Array>,
  frames: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  for (let frame = first; frame.done !== true; frame = await frames.next()) yield frame.value;
}

function visibilityOf(metadata: Uint8Array): OpenSubset['visibility'] {
  const { xmin, xmax, xip_list } = JSON.parse(Buffer.from(metadata).toString()) as SubsetMetadata;
  return { xmin: BigInt(xmin), xmax: BigInt(xmax), xip: xip_list.map(BigInt) };
}
