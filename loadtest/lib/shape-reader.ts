import { isBefore } from './offset.ts';
import { END } from './rows.ts';
import { SequenceTracker, type SequencedRow } from './sequence-tracker.ts';
import type { ShapeAnswer } from './answer.ts';

/** A place in a shape, to go on from. */
export interface Place {
  readonly handle: string;
  readonly offset: string;
  readonly highest: number;
  readonly rows: number;
  readonly check: number;
}

/**
 * What a reader knows of one shape: where it stands, and whether what it was given is what was written. Knows the protocol, and nothing of
 * how requests are sent.
 */
export class ShapeReader {
  readonly channel: number;
  mustRefetch = 0;
  outOfOrder = 0;
  foreign = 0;
  readonly #onLive: (row: SequencedRow) => void;
  #tracker = new SequenceTracker();
  #handle: string | undefined;
  #offset = '-1';
  #cursor: string | undefined;
  #upToDate = false;
  #ended = false;

  /** `onLive` hears of each row that came after the reader was up to date; not of the one that says the channel has ended. */
  constructor(channel: number, onLive: (row: SequencedRow) => void = () => {}) {
    this.channel = channel;
    this.#onLive = onLive;
  }

  static at(channel: number, place: Place): ShapeReader {
    const reader = new ShapeReader(channel);
    reader.#handle = place.handle;
    reader.#offset = place.offset;
    reader.#tracker = SequenceTracker.after(place.highest, place);
    return reader;
  }

  get tracker(): SequenceTracker {
    return this.#tracker;
  }

  /** The last answer said so. */
  get upToDate(): boolean {
    return this.#upToDate;
  }

  /** The writer will write no more of this channel. */
  get ended(): boolean {
    return this.#ended;
  }

  get place(): Place {
    const { highest, totals } = this.#tracker;
    return { handle: this.#handle ?? '', offset: this.#offset, highest, ...totals };
  }

  /** Parameters of the next request, in the order of the official clients, which sort. */
  query(live: boolean): string {
    const pairs = [
      ...(live && this.#cursor !== undefined ? [`cursor=${this.#cursor}`] : []),
      ...(this.#handle === undefined ? [] : [`handle=${this.#handle}`]),
      ...(live ? ['live=true'] : []),
      `offset=${this.#offset}`,
    ];
    return pairs.join('&');
  }

  /** Takes an answer of status 200, 204, 304 or 409; resolves to its number of rows, undefined where it is no answer of a shape. */
  take(answer: ShapeAnswer): number | undefined {
    if (answer.status === 409) {
      this.#startOver(answer.handle);
      return 0;
    }
    if (answer.status === 304) return 0;
    const { handle, offset } = answer;
    if (handle === undefined || offset === undefined) return undefined;
    if (isBefore(offset, this.#offset)) this.outOfOrder += 1;
    this.#handle = handle;
    this.#offset = offset;
    this.#cursor = answer.cursor ?? this.#cursor;
    this.#upToDate = answer.upToDate;
    let rows = 0;
    for (const message of answer.messages) {
      if (message.value === undefined) continue;
      rows += 1;
      this.#row(message.value);
    }
    if (answer.upToDate) this.#tracker.upToDate();
    return rows;
  }

  #row(value: Readonly<Record<string, string | null>>): void {
    const row = {
      channel: Number(value['channel']),
      seq: Number(value['seq']),
      writtenMs: Number(value['written_ms']),
    };
    if (row.channel !== this.channel) {
      this.foreign += 1;
      return;
    }
    const live = this.#tracker.settled;
    this.#tracker.take(row);
    if (value['pad'] === END) this.#ended = true;
    else if (live) this.#onLive(row);
  }

  #startOver(handle: string | undefined): void {
    this.mustRefetch += 1;
    this.#handle = handle;
    this.#offset = '-1';
    this.#cursor = undefined;
    this.#upToDate = false;
    this.#ended = false;
    this.#tracker.startOver();
  }
}
