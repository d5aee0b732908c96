import { chainAfter, RecordDecoder, type Lsn } from '@shapecast/log';
import type { TxStreams } from '@shapecast/messaging';
import type { Clock, Logger } from '@shapecast/service-kit';

interface StreamEndDeps {
  readonly streams: Pick<TxStreams, 'open'>;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What is known of the stream's end is believed for this long. */
const FRESH_MS = 1_000;

/**
 * The commit LSN that the tx stream has come to. An offset of a client that is not beyond it is one that a shard will come to again:
 * its store has gone back, and it is catching up (spec R 14.6).
 */
export class StreamEnd {
  readonly #deps: StreamEndDeps;
  readonly #source: string;
  #known: { readonly incarnation: number; readonly at: number; readonly lsn: Promise<Lsn> } | undefined;

  constructor(deps: StreamEndDeps, source: string) {
    this.#deps = deps;
    this.#source = source;
  }

  /** Asks at most once a second, however many clients do. False when the stream cannot be asked. */
  async reaches(lsn: bigint, incarnation: number): Promise<boolean> {
    const { clock, log } = this.#deps;
    const known = this.#known;
    if (known?.incarnation !== incarnation || clock.now() - known.at >= FRESH_MS) {
      this.#known = { incarnation, at: clock.now(), lsn: this.#read(incarnation) };
    }
    try {
      return lsn <= ((await this.#known?.lsn) ?? 0n);
    } catch (err) {
      log.debug({ err }, 'the end of the tx stream is not known');
      return false;
    }
  }

  async #read(incarnation: number): Promise<Lsn> {
    const stream = await this.#deps.streams.open({ source: this.#source, incarnation });
    const message = await stream?.last();
    if (message === undefined) return 0n as Lsn;
    const record = new RecordDecoder().decode(message.payload);
    return (record.kind === 'slice' ? record.prev : chainAfter(record)).position.lsn;
  }
}
