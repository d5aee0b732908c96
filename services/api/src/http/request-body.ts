import type { IncomingMessage } from 'node:http';
import { exactNumbers, isObject, type Params } from '@shapecast/protocol';
import type { Clock } from '@shapecast/service-kit';
import type { Failure } from '../answers.ts';

const MAX_BODY_BYTES = 8_000_000;
/** For all of it, so that those who send a byte now and then do not keep the permits of others. */
const BODY_TIMEOUT_MS = 30_000;

export type BodyRead = { readonly ok: true; readonly body: Params } | { readonly ok: false; readonly failure: Failure };

/**
 * Reads the JSON body of a POST (QP-8). Empty is an empty object. A client that takes too long to send it is cut: it will try
 * again, while any 4xx would be final for it (ER-2).
 */
export async function readBody(req: IncomingMessage, clock: Clock): Promise<BodyRead> {
  const cancel = clock.after(BODY_TIMEOUT_MS, () => req.socket.destroy());
  const text = await readText(req);
  cancel();
  if (text === 'too large') return refused(413, { error: 'Request body too large' });
  if (text === 'unreadable') return refused(400, { error: 'Failed to read request body' });
  const json = text.json.trim();
  if (json === '') return { ok: true, body: {} };
  let body: unknown;
  try {
    body = JSON.parse(json, exactNumbers);
  } catch (err) {
    const details = err instanceof Error ? err.message : 'unexpected input';
    return refused(400, { error: 'Invalid JSON in request body', details });
  }
  return isObject(body) ? { ok: true, body } : refused(400, { error: 'Request body must be a JSON object' });
}

/** Past the limit the rest is received and dropped, so that the client gets to read its 413. */
function readText(req: IncomingMessage): Promise<{ readonly json: string } | 'too large' | 'unreadable'> {
  return new Promise((resolve) => {
    let parts: Buffer[] = [];
    let size = 0;
    req.on('data', (part: Buffer) => {
      size += part.length;
      if (size <= MAX_BODY_BYTES) return void parts.push(part);
      parts = [];
      resolve('too large');
    });
    req.on('end', () => resolve({ json: Buffer.concat(parts).toString('utf8') }));
    req.on('error', () => resolve('unreadable'));
    req.on('aborted', () => resolve('unreadable'));
  });
}

function refused(status: number, body: object): BodyRead {
  return { ok: false, failure: { kind: 'failure', status, body: JSON.stringify(body) } };
}
