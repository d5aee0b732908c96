import express, { type Request, type RequestHandler, type Response } from 'express';
import { writeProblem } from './answers.ts';

const MAX_BODY_BYTES = 256 * 1024;

export function idOf(req: Request): string {
  return String(req.params['id']);
}

export function handleOf(req: Request): string {
  return String(req.params['handle']);
}

/** A body of another type may come from a form of another site. */
const jsonOnly: RequestHandler = (req, res, next) => {
  if (/^application\/json *(;|$)/i.test(req.headers['content-type'] ?? '')) return next();
  const message = 'The body has to be JSON: content-type: application/json.';
  writeProblem(res, { status: 415, code: 'unsupported_media_type', message });
};

export function methods(allowed: string): RequestHandler {
  return (_req, res) => {
    res.set('allow', allowed);
    writeProblem(res, { status: 405, code: 'method_not_allowed', message: `Only ${allowed} can be asked for here.` });
  };
}

export function notFound(_req: Request, res: Response): void {
  writeProblem(res, { status: 404, code: 'not_found', message: 'There is nothing here.' });
}

/** Reads a body of JSON, and nothing else. */
export const jsonBody: readonly RequestHandler[] = [
  jsonOnly,
  express.json({ limit: MAX_BODY_BYTES, strict: true, type: () => true }),
];
