import { isChangeMessage, ShapeStream, type Message, type ShapeStreamOptions } from '@electric-sql/client';
import type { ShapeMessage } from '../../support/shape-state.ts';
import type { ReaderKind, ReaderTrack } from '../checker/reader-track.ts';
import { pause } from '../writers/connection.ts';
import type { ReaderDeps } from './polling-reader.ts';

/** Values stay the texts that Postgres made. */
const text = (value: string): string => value;
const PARSER: NonNullable<ShapeStreamOptions['parser']> = {
  int2: text,
  int4: text,
  int8: text,
  bool: text,
  float4: text,
  float8: text,
  json: text,
};

/** Follows a shape with the official TypeScript client from npm; what it hands on goes to the checker. */
export class ClientReader {
  readonly track: ReaderTrack;
  readonly #deps: ReaderDeps;
  readonly #url: string;

  constructor(deps: ReaderDeps, kind: ReaderKind, url: string) {
    this.#deps = deps;
    this.#url = url;
    this.track = deps.checker.reader(kind);
  }

  async follow(signal: AbortSignal): Promise<void> {
    const { shape } = this.track.kind;
    const stream = new ShapeStream({
      url: `${this.#url}/v1/shape`,
      params: { table: shape.table, ...shape.params },
      parser: PARSER,
      signal,
      // It gives up on some of what faults do, for its user to decide; ours goes on.
      onError: () => (signal.aborted ? undefined : {}),
    });
    let handle: string | undefined;
    stream.subscribe(
      (messages) => {
        const at = performance.now();
        const sent = { at, handle, offset: '', live: true };
        const { history, checker } = this.#deps;
        const rotated = messages.findIndex((message) => message.headers['control'] === 'must-refetch');
        if (rotated >= 0) {
          history.note(this.track.kind.name, 'is refused', { handle });
          checker.refused(this.track, { sent, at, handle, next: undefined });
        }
        const rest = messages.slice(rotated + 1);
        if (rest.length === 0) return;
        handle = stream.shapeHandle;
        const upToDate = rest.at(-1)?.headers['control'] === 'up-to-date';
        const offset = stream.lastOffset;
        history.note(this.track.kind.name, 'gets', {
          handle,
          offset,
          messages: rest.length,
          last: rest.at(-1)?.headers,
        });
        const delivered = { sent, at, handle: handle ?? '', offset, upToDate, messages: rest.map(asSent) };
        checker.delivered(this.track, delivered);
      },
      () => {},
    );
    while (!signal.aborted) await pause(1_000, signal);
    stream.unsubscribeAll();
  }
}

function asSent(message: Message): ShapeMessage {
  const { headers } = message;
  if (!isChangeMessage(message)) return { headers } as ShapeMessage;
  const { key, value, old_value: old } = message;
  return { key, value, headers, ...(old !== undefined && { old_value: old }) } as ShapeMessage;
}
