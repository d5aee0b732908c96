import { OTHER_CORS } from '@shapecast/protocol';
import express, { type Express, type Request, type Response } from 'express';
import { requestId } from './exchange.ts';

/** Serves everything; serves what exists, while nobody replicates; neither yet (spec H 5). */
export type HealthStatus = 'active' | 'waiting' | 'starting';

export interface OtherRoutesOptions {
  readonly server: string;
  /** Of the source that is asked for, or of the process; nothing: there is no such source. */
  readonly health: (asked: unknown) => HealthStatus | undefined | Promise<HealthStatus | undefined>;
}

/** Everything but `/v1/shape`: `/`, `/v1/health` and the 404 for the rest (spec H 2 and 5). */
export function otherRoutes(options: OtherRoutesOptions): Express {
  const app = express();
  app.disable('x-powered-by');
  app.set('etag', false);
  app.set('case sensitive routing', true);
  app.set('strict routing', true);
  app.use((req, res, next) => {
    // Nothing here has a tag, so nothing can match; Express would answer 304 to `*`.
    delete req.headers['if-none-match'];
    res.set('electric-server', options.server);
    res.set('x-request-id', requestId(req));
    for (let i = 0; i < OTHER_CORS.length; i += 2) res.set(OTHER_CORS[i] as string, OTHER_CORS[i + 1] as string);
    next();
  });
  app.get('/', (_req, res) => {
    res.set('cache-control', 'no-store').status(200).end();
  });
  app.get('/v1/health', async (req: Request, res: Response) => {
    const status = await options.health(req.query.source_id);
    if (status === undefined) return notFound(req, res);
    res.set('cache-control', 'no-cache, no-store, must-revalidate');
    res.status(status === 'active' ? 200 : 202).json({ status });
  });
  app.use(notFound);
  return app;
}

function notFound(_req: Request, res: Response): void {
  res.set('cache-control', 'no-store').status(404).type('text/plain').send('Not found');
}
