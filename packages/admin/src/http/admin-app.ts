import type { HealthReport, Logger } from '@shapecast/service-kit';
import type { ShapeState } from '@shapecast/shape-store';
import express, { type Express, type Request, type RequestHandler, type Router } from 'express';
import { AdminError, invalid } from '../admin-error.ts';
import type { Connected } from '../connected.ts';
import { explainClause } from '../shapes/explain.ts';
import { noStore, type ShapeAdmin, type ShapeQuery } from '../shapes/shape-admin.ts';
import { SORTS } from '../shapes/shape-list.ts';
import { slowClauses } from '../shapes/slow-clauses.ts';
import { rotationsOf } from '../sources/rotations.ts';
import { stageLagOf } from '../sources/stage-lag.ts';
import { actionRoutes } from './action-routes.ts';
import { Answer, answer, onError, writeProblem } from './answers.ts';
import { consoleFiles } from './console-files.ts';
import type { EventStreams } from './event-stream.ts';
import { healthRoutes, metricsRoute } from './health-routes.ts';
import { handleOf, idOf, jsonBody, methods, notFound } from './requests.ts';
import type { TokenGuard } from './token-guard.ts';

const MAX_PAGE = 200;
const STATES = ['creating', 'snapshotting', 'promoting', 'live', 'dead', 'alive', 'any'] as const;

interface AppDeps {
  /** Throws while NATS has not been reached. */
  readonly connected: () => Connected;
  readonly overview: () => Promise<unknown>;
  readonly health: (() => HealthReport) | undefined;
  readonly metrics: (() => string) | undefined;
  readonly streams: EventStreams;
  readonly guard: TokenGuard;
  readonly log: Logger;
}

/** The admin port: the console for everybody, `/admin` for whoever has the token. */
export function adminApp(deps: AppDeps): Express {
  const app = express();
  app.disable('x-powered-by');
  app.set('etag', false);
  app.set('case sensitive routing', true);
  app.set('strict routing', true);
  app.use((_req, res, next) => {
    res.set({
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
      'cross-origin-resource-policy': 'same-origin',
      'cache-control': 'no-store',
    });
    next();
  });
  if (deps.health !== undefined) healthRoutes(app, deps.health);
  if (deps.metrics !== undefined) metricsRoute(app, deps.metrics);
  app.use(consoleFiles());
  app.use('/admin', authenticated(deps), adminRoutes(deps));
  app.use(notFound);
  app.use(onError(deps.log));
  return app;
}

function authenticated({ guard, log }: AppDeps): RequestHandler {
  return (req, res, next) => {
    const address = req.socket.remoteAddress ?? '';
    const verdict = guard.check(req.headers.authorization, address);
    if (verdict.kind === 'ok') return next();
    if (verdict.kind === 'limited') {
      const message = 'Too many wrong tokens came from this address. Try again later.';
      const { retryAfterS } = verdict;
      return writeProblem(res, { status: 429, code: 'too_many_attempts', message, retryAfterS });
    }
    if (req.headers.authorization !== undefined) log.warn({ address }, 'a wrong admin token was refused');
    res.set('www-authenticate', 'Bearer realm="shapecast admin"');
    const message = 'The request needs an admin token: authorization: Bearer <SHAPECAST_ADMIN_TOKEN>.';
    writeProblem(res, { status: 401, code: 'unauthorized', message });
  };
}

function adminRoutes(deps: AppDeps): Router {
  const { connected, log } = deps;
  const router = express.Router({ caseSensitive: true, strict: true });
  const told = (req: Request, action: string) =>
    log.info({ source: idOf(req), action, address: req.socket.remoteAddress }, 'source changed through the admin API');
  const stateRoute = (action: string, state: 'active' | 'paused' | 'draining') =>
    router
      .route(`/sources/:id/${action}`)
      .post(
        answer(async (req) => {
          const { sources, view } = connected();
          await sources.setState(idOf(req), state);
          told(req, action);
          return { source: await view.summary(idOf(req)) };
        }),
      )
      .all(methods('POST'));

  router.route('/').get(answer(deps.overview)).all(methods('GET'));
  router
    .route('/events')
    .get((req, res) => deps.streams.open(req, res))
    .all(methods('GET'));
  router
    .route('/sources')
    .get(answer(async () => ({ mode: connected().sources.mode, sources: await connected().view.list() })))
    .all(methods('GET'));
  router
    .route('/sources/:id')
    .get(answer((req) => connected().view.show(idOf(req))))
    .put(
      ...jsonBody,
      answer(async (req) => {
        const { sources, view } = connected();
        if (typeof req.body !== 'object' || Array.isArray(req.body)) throw invalid(['body: expected an object']);
        const outcome = await sources.declare(idOf(req), req.body as unknown);
        told(req, outcome);
        return new Answer(outcome === 'added' ? 201 : 200, { outcome, source: await view.summary(idOf(req)) });
      }),
    )
    .delete(
      answer(async (req) => {
        const { sources, view } = connected();
        const id = idOf(req);
        await sources.get(id);
        if (req.query['confirm'] !== id) {
          const message =
            'Removing a source drops its slot, its publication and all its data. Repeat it with ?confirm=<id of the source>.';
          throw new AdminError({ status: 400, code: 'confirmation_required', message });
        }
        await sources.setState(id, 'removing');
        told(req, 'remove');
        return { source: await view.summary(id) };
      }, 202),
    )
    .all(methods('GET, PUT, DELETE'));
  stateRoute('pause', 'paused');
  stateRoute('resume', 'active');
  stateRoute('drain', 'draining');
  router
    .route('/sources/:id/usage')
    .get(
      answer(async (req) => {
        const { sources, board } = connected();
        const { id } = await sources.get(idOf(req));
        const sums = board.sumsOf(id);
        return { ...sums, lag: stageLagOf(sums), history: board.historyOf(id) };
      }),
    )
    .all(methods('GET'));
  router
    .route('/sources/:id/rotations')
    .get(answer((req) => rotationsOf(connected(), idOf(req))))
    .all(methods('GET'));
  router
    .route('/sources/:id/clauses')
    .get(
      answer(async (req) => {
        const { sources, board } = connected();
        return { tables: await slowClauses(board, (await sources.get(idOf(req))).id) };
      }),
    )
    .all(methods('GET'));
  shapeRoutes(router, deps);
  actionRoutes(router, deps);
  router.use(notFound);
  return router;
}

function shapeRoutes(router: Router, { connected, log }: AppDeps): void {
  const shapes = (): ShapeAdmin => connected().shapes ?? noStore();
  router
    .route('/sources/:id/shapes')
    .get(answer((req) => shapes().list(idOf(req), queryOf(req))))
    .all(methods('GET'));
  router
    .route('/sources/:id/shapes/:handle')
    .get(answer((req) => shapes().inspect(idOf(req), handleOf(req))))
    .delete(
      answer(async (req) => {
        await shapes().delete(idOf(req), handleOf(req));
        log.info(
          { source: idOf(req), handle: handleOf(req), address: req.socket.remoteAddress },
          'shape deleted through the admin API',
        );
        return { deleted: handleOf(req) };
      }),
    )
    .all(methods('GET, DELETE'));
  router
    .route('/sources/:id/explain')
    .post(
      ...jsonBody,
      answer(async (req, signal) => {
        const { sources, clauses, tables } = connected();
        const { id } = await sources.get(idOf(req));
        return explainClause(req.body, clauses, (table) => tables.current(id, table, signal));
      }),
    )
    .all(methods('POST'));
}

function queryOf({ query }: Request): ShapeQuery {
  const problems: string[] = [];
  const text = (name: string) => (typeof query[name] === 'string' ? query[name] : undefined);
  const whole = (name: string, fallback: number, most: number): number => {
    const given = text(name);
    if (given === undefined) return fallback;
    if (/^\d{1,9}$/.test(given) && Number(given) <= most) return Number(given);
    problems.push(`${name}: expected a whole number up to ${most}`);
    return fallback;
  };
  const one = <T extends string>(name: string, all: readonly T[], fallback: T): T => {
    const given = text(name);
    if (given === undefined) return fallback;
    const found = all.find((value) => value === given);
    if (found === undefined) problems.push(`${name}: expected ${all.join(', ')}`);
    return found ?? fallback;
  };
  const result = {
    sort: one('sort', SORTS, 'bytes'),
    limit: Math.max(1, whole('limit', 50, MAX_PAGE)),
    offset: whole('offset', 0, 1_000_000),
    state: one('state', STATES, 'alive') satisfies ShapeState | 'alive' | 'any',
    handle: text('handle') ?? '',
  };
  const known = new Set(['sort', 'limit', 'offset', 'state', 'handle']);
  for (const name of Object.keys(query)) if (!known.has(name)) problems.push(`${name}: is no parameter of this list`);
  if (problems.length > 0) throw invalid(problems);
  return result;
}
