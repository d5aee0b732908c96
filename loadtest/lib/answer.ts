/** What a reader takes from an answer of the service. Pure, so that a test can feed it. */
export interface ShapeAnswer {
  readonly status: number;
  readonly handle: string | undefined;
  readonly offset: string | undefined;
  readonly cursor: string | undefined;
  readonly upToDate: boolean;
  /** Seconds, of a refusal. */
  readonly retryAfter: number | undefined;
  readonly messages: readonly ShapeMessage[];
}

interface ShapeMessage {
  readonly key?: string;
  readonly value?: Readonly<Record<string, string | null>>;
  readonly headers: { readonly operation?: string; readonly control?: string };
}

/** Go writes the names of headers in this way, and k6 hands them on. */
export function readAnswer(
  status: number,
  headers: Readonly<Record<string, string>>,
  body: string | null | undefined,
): ShapeAnswer {
  const retryAfter = headers['Retry-After'];
  return {
    status,
    handle: headers['Electric-Handle'],
    offset: headers['Electric-Offset'],
    cursor: headers['Electric-Cursor'],
    upToDate: headers['Electric-Up-To-Date'] !== undefined,
    retryAfter: retryAfter === undefined ? undefined : Number(retryAfter),
    messages: status === 200 && body ? (JSON.parse(body) as ShapeMessage[]) : [],
  };
}
