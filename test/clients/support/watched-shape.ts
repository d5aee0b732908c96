import { Shape, ShapeStream, type Message, type Row, type ShapeStreamOptions } from '@electric-sql/client';
import { waitFor } from '@shapecast/testkit';
import { canonicalRows } from '../../support/rows.ts';
import { RecordingFetch } from './recording-fetch.ts';

/** The official `Shape` over the official `ShapeStream`, and everything that went through them. */
export class WatchedShape {
  readonly stream: ShapeStream;
  readonly shape: Shape;
  readonly messages: Message[] = [];
  readonly #recorder = new RecordingFetch();
  readonly #end = new AbortController();

  /** `onUpToDate` is called each time the client holds a complete state, with that state. */
  constructor(options: ShapeStreamOptions, onUpToDate: (rows: readonly Row[]) => void = () => undefined) {
    const signal = options.signal ? AbortSignal.any([options.signal, this.#end.signal]) : this.#end.signal;
    this.stream = new ShapeStream({ ...options, signal, fetchClient: this.#recorder.fetch });
    this.shape = new Shape(this.stream);
    // After the shape, whose own subscription was first: it holds the batch already.
    this.stream.subscribe((batch) => {
      this.messages.push(...batch);
      if (batch.at(-1)?.headers['control'] === 'up-to-date') onUpToDate(this.shape.currentRows);
    });
  }

  get requests(): RecordingFetch['requests'] {
    return this.#recorder.requests;
  }

  /** Requests on their way or answered. */
  get sent(): number {
    return this.#recorder.sent;
  }

  get rows(): readonly Row[] {
    return this.shape.currentRows;
  }

  count(control: string): number {
    return this.messages.filter((message) => message.headers['control'] === control).length;
  }

  upToDate(): Promise<unknown> {
    return waitFor(() => this.stream.isUpToDate, { describe: () => this.#state() });
  }

  /** Resolves once the client holds exactly these rows. */
  async holds(expected: () => Promise<readonly string[]>): Promise<void> {
    let wanted: readonly string[] = [];
    const equal = async (): Promise<boolean> => {
      wanted = await expected();
      return canonicalRows(this.rows).join('\n') === wanted.join('\n');
    };
    await waitFor(equal, { describe: () => `client ${this.#state()}, expected ${wanted.join('\n')}` });
  }

  stop(): void {
    this.#end.abort();
  }

  #state(): string {
    const error = this.stream.error instanceof Error ? this.stream.error.message : '';
    const last = this.requests.slice(-3).map(({ status, url }) => `${status} ${url.search}`);
    return `${canonicalRows(this.rows).join('\n')} ${error} ${last.join(' ')}`;
  }
}
