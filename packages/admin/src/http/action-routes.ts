import type { Logger } from '@shapecast/service-kit';
import type { Request, Router } from 'express';
import { z } from 'zod';
import { AdminError, invalid } from '../admin-error.ts';
import type { Connected } from '../connected.ts';
import { parseShapeOrder, parseSourceOrder } from '../shapes/rotation-order.ts';
import { noStore, type ShapeAdmin } from '../shapes/shape-admin.ts';
import { answer } from './answers.ts';
import { handleOf, idOf, jsonBody, methods } from './requests.ts';

interface ActionDeps {
  readonly connected: () => Connected;
  readonly log: Logger;
}

/** What an operator does to a running source (spec O 10.1). Each leaves a line in the log that says who did what, and why. */
export function actionRoutes(router: Router, { connected, log }: ActionDeps): void {
  const shapes = (): ShapeAdmin => connected().shapes ?? noStore();
  const told = (req: Request, action: string, more: object) =>
    log.info(
      { source: idOf(req), action, address: req.socket.remoteAddress, ...more },
      'source acted on through the admin API',
    );

  router
    .route('/sources/:id/shapes/:handle/rotate')
    .post(
      ...jsonBody,
      answer(async (req) => {
        const { reason } = parseShapeOrder(req.body);
        const handle = handleOf(req);
        await shapes().rotate(idOf(req), handle, reason);
        told(req, 'rotate', { handle, reason });
        return { rotated: handle };
      }),
    )
    .all(methods('POST'));
  router
    .route('/sources/:id/shapes/:handle/check')
    .post(
      answer(async (req, signal) => {
        const check = await shapes().check(idOf(req), handleOf(req), signal);
        const { handle, consistent, rows, differences } = check;
        told(req, 'check', { handle, consistent, ...rows, ...differences });
        return check;
      }),
    )
    .all(methods('POST'));
  router
    .route('/sources/:id/rotate')
    .get(
      answer(async (req) => {
        const { id } = await connected().sources.get(idOf(req));
        return { rotations: shapes().rotations(id) };
      }),
    )
    .post(
      ...jsonBody,
      answer(async (req) => {
        const order = parseSourceOrder(req.body);
        const { id } = await connected().sources.get(idOf(req));
        if (order.table === undefined) confirmed(req, 'Rotating a source has every reader of it start over.');
        const rotation = await shapes().rotateAll(id, order);
        told(req, 'rotate', order);
        return { rotation };
      }, 202),
    )
    .all(methods('GET, POST'));
  leaderRoutes(router, connected, told);
  shardRoutes(router, connected, told);
}

type Told = (req: Request, action: string, more: object) => void;

function leaderRoutes(router: Router, connected: () => Connected, told: Told): void {
  router
    .route('/sources/:id/release')
    .post(
      answer(async (req, signal) => {
        const released = await connected().actions.release(idOf(req), signal);
        told(req, 'release', released);
        return { released };
      }, 202),
    )
    .all(methods('POST'));
  router
    .route('/sources/:id/new-incarnation')
    .post(
      ...jsonBody,
      answer(async (req, signal) => {
        const { reason } = parseShapeOrder(req.body);
        const { id } = await connected().sources.get(idOf(req));
        confirmed(req, 'A new incarnation has every reader of the source start over.');
        const ended = await connected().actions.newIncarnation(id, signal);
        told(req, 'new-incarnation', { ...ended, reason });
        return { ended };
      }, 202),
    )
    .all(methods('POST'));
}

function shardRoutes(router: Router, connected: () => Connected, told: Told): void {
  router
    .route('/sources/:id/shards')
    .get(answer((req) => connected().shards.list(idOf(req))))
    .all(methods('GET'));
  router
    .route('/sources/:id/shards/:shard/move')
    .post(
      ...jsonBody,
      answer(async (req) => {
        const { to } = parseMove(req.body);
        const shard = shardOf(req);
        await connected().shards.move(idOf(req), shard, to);
        told(req, 'move', { shard, to });
        return { shard, to };
      }, 202),
    )
    .all(methods('POST'));
}

const move = z.strictObject({ to: z.string({ error: 'expected the id of a router, or null' }).min(1).nullable() });

function parseMove(body: unknown): { readonly to: string | null } {
  const parsed = move.safeParse(body ?? {});
  if (parsed.success) return parsed.data;
  throw invalid(parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'body'}: ${message}`));
}

/** What is no number is the number of no shard. */
function shardOf(req: Request): number {
  const text = String(req.params['shard']);
  return /^\d{1,6}$/.test(text) ? Number(text) : NaN;
}

/** What concerns every reader of a source is asked for with its id once more. */
function confirmed(req: Request, what: string): void {
  if (req.query['confirm'] === idOf(req)) return;
  const message = `${what} Repeat it with ?confirm=<id of the source>.`;
  throw new AdminError({ status: 400, code: 'confirmation_required', message });
}
