import { isShapecastError } from '@shapecast/errors';
import { withoutCredentials } from '@shapecast/service-kit';

/** Why a server could not be looked at. */
export interface Failure {
  /** One sentence without credentials. */
  readonly message: string;
  /** What the adapter calls it: `details.type` of Postgres, `details.reason` of the others. */
  readonly kind: string | undefined;
}

export function failureOf(error: unknown): Failure {
  const said = error instanceof Error ? error.message : String(error);
  const details = isShapecastError(error) ? error.details : {};
  const kind = details['type'] ?? details['reason'];
  // Sentences of our own are safe, and some of them tell to check a password.
  const own = typeof kind === 'string' && kind !== 'unknown';
  return { message: sentence(own ? said : withoutCredentials(said)), kind: own ? kind : undefined };
}

/** With a capital and a full stop. */
export function sentence(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`;
}
