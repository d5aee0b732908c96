/** One request of a client, with the answer it got. */
export interface Recorded {
  readonly method: string;
  readonly url: URL;
  /** Milliseconds, `performance.now()`. */
  readonly sentAt: number;
  readonly answeredAt: number;
  readonly status: number;
  readonly headers: Headers;
}

/** The `fetch` of the platform that remembers what went over it: clients take one as an option. */
export class RecordingFetch {
  /** Those that were answered. */
  readonly requests: Recorded[] = [];
  sent = 0;

  readonly fetch: typeof fetch = async (input, init) => {
    const sentAt = performance.now();
    const url = new URL(input instanceof Request ? input.url : input);
    this.sent += 1;
    const answer = await fetch(input, init);
    const { status, headers } = answer;
    const answeredAt = performance.now();
    this.requests.push({ method: init?.method ?? 'GET', url, sentAt, answeredAt, status, headers });
    return answer;
  };
}
