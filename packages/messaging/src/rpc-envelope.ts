import { ERRORS, ShapecastError, type ErrorCode } from '@shapecast/errors';

/** An answer as it travels. `details` and `message` are made for people outside: no stack traces, no driver errors. */
type Answer =
  | { readonly ok: true; readonly value?: unknown }
  | { readonly ok: false; readonly code: string; readonly message: string; readonly details?: Record<string, unknown> };

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function encodeRequest(request: unknown): Uint8Array {
  return encoder.encode(JSON.stringify(request) ?? 'null');
}

/** Throws INVALID_REQUEST for bytes that are not JSON. */
export function decodeRequest(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(bytes));
  } catch (cause) {
    throw new ShapecastError('INVALID_REQUEST', 'the request is not JSON', {}, cause);
  }
}

export function encodeValue(value: unknown): Uint8Array {
  return encoder.encode(JSON.stringify({ ok: true, value } satisfies Answer));
}

/** Anything that is not a ShapecastError is a fault of the server: its log has it, the caller only learns to try again. */
export function encodeError(error: unknown): Uint8Array {
  const known =
    error instanceof ShapecastError
      ? error
      : new ShapecastError('NOT_READY', 'the process that serves this request failed; its log says why');
  const { code, message, details } = known;
  return encoder.encode(JSON.stringify({ ok: false, code, message, details } satisfies Answer));
}

/** The value, or throws the server's error. */
export function decodeAnswer(bytes: Uint8Array): unknown {
  let answer: Answer;
  try {
    answer = JSON.parse(decoder.decode(bytes)) as Answer;
  } catch (cause) {
    throw new ShapecastError('NOT_READY', 'the answer to a request cannot be read', {}, cause);
  }
  if (answer.ok) return answer.value;
  const code: ErrorCode = Object.hasOwn(ERRORS, answer.code) ? (answer.code as ErrorCode) : 'NOT_READY';
  throw new ShapecastError(code, answer.message, answer.details);
}
