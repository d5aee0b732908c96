import type { ErrorRequestHandler, Request, RequestHandler, Response } from 'express';
import type { Logger } from '@shapecast/service-kit';
import { AdminError, problemOf, type AdminProblem } from '../admin-error.ts';

/** Writes what went wrong: `{"code", "message", "problems"?}`. */
export function writeProblem(res: Response, { status, retryAfterS, ...body }: AdminProblem): void {
  if (retryAfterS !== undefined) res.set('retry-after', String(retryAfterS));
  res.status(status).json(body);
}

/** A route whose result is the answer. Express hands on what it throws. */
export function answer(work: (req: Request, signal: AbortSignal) => Promise<unknown>, status = 200): RequestHandler {
  return async (req, res) => {
    const gone = new AbortController();
    res.once('close', () => gone.abort(new Error('the client left')));
    const body = await work(req, gone.signal);
    if (res.destroyed) return;
    if (body instanceof Answer) res.status(body.status).json(body.body);
    else res.status(status).json(body);
  };
}

/** A body with a status of its own. */
export class Answer {
  readonly status: number;
  readonly body: unknown;

  constructor(status: number, body: unknown) {
    this.status = status;
    this.body = body;
  }
}

/** What nobody foresaw is for the log and for nobody else. */
export function onError(log: Logger): ErrorRequestHandler {
  // Four parameters: that is how Express knows an error handler.
  return (error: unknown, _req, res: Response, _next) => {
    if (res.headersSent) return void res.destroy();
    const known = bodyProblem(error) ?? problemOf(error);
    if (known === undefined) log.error({ err: error }, 'a request to the admin API failed');
    writeProblem(res, known ?? { status: 500, code: 'internal', message: 'The request failed; the log says why.' });
  };
}

/** Errors of the body parser: their own texts may repeat a part of the body. */
function bodyProblem(error: unknown): AdminProblem | undefined {
  if (error instanceof AdminError || !(error instanceof Error)) return undefined;
  const { type } = error as { readonly type?: unknown };
  switch (type) {
    case 'entity.too.large':
      return { status: 413, code: 'too_large', message: 'The body is larger than 256 KiB.' };
    case 'entity.parse.failed':
      return { status: 400, code: 'invalid', message: 'The body is not JSON.', problems: ['body: is not JSON'] };
    case 'encoding.unsupported':
    case 'charset.unsupported':
      return { status: 415, code: 'unsupported_media_type', message: 'The body has to be JSON in UTF-8.' };
    case 'request.aborted':
    case 'request.size.invalid':
      return { status: 400, code: 'invalid', message: 'The body is not complete.' };
    default:
      return error instanceof URIError
        ? { status: 400, code: 'invalid', message: 'The path is not well formed.' }
        : undefined;
  }
}
