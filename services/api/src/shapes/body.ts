/** The bytes of an answer, which many requests may share. */
export interface Body {
  /** All of it in order, if it is there already: then its length can be told and nothing has to be waited for. */
  readonly whole: readonly Uint8Array[] | undefined;
  /** All of it, piece by piece, as it comes. Throws when the rest is lost: then the answer must break off (RT-9). */
  pieces(): AsyncIterable<Uint8Array>;
  /** To be called once when nothing of it is going to be written any more. */
  release(): void;
}

export function wholeBody(bytes: Uint8Array): Body {
  const whole = [bytes];
  return { whole, pieces: () => each(whole), release: () => {} };
}

/** For one reader, read as far as it has got. */
export function streamedBody(source: () => AsyncIterable<Uint8Array>): Body {
  return { whole: undefined, pieces: source, release: () => {} };
}

async function* each(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* pieces;
}
