/** Texts by parameter, as the body of a 400 shows them (spec H 7). Subset errors nest one level deeper (SU-3). */
export type FieldErrors = Readonly<Record<string, readonly string[] | Readonly<Record<string, readonly string[]>>>>;

/** A value, or why there is none. Refusals of requests are ordinary, so they are values and not exceptions. */
export type Checked<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly errors: FieldErrors };

export function accept<T>(value: T): Checked<T> {
  return { ok: true, value };
}

export function refuse(field: string, text: string): { readonly ok: false; readonly errors: FieldErrors } {
  return { ok: false, errors: { [field]: [text] } };
}

/** Body of a 400 (spec H 7, 21.1). */
export function invalidRequestBody(errors: FieldErrors): string {
  return JSON.stringify({ message: 'Invalid request', errors });
}
