import { METRICS_TYPE, type HealthReport } from '@shapecast/service-kit';
import type { Express } from 'express';

/** As `HealthServer`, for processes whose admin port is their health port. */
export function healthRoutes(app: Express, health: () => HealthReport): void {
  app.get(['/live', '/livez', '/startupz'], (_req, res) => void res.type('text/plain').send('ok\n'));
  app.get(['/ready', '/readyz', '/health'], (_req, res) => {
    const report = health();
    res.status(report.ready ? 200 : 503).json(report);
  });
  app.get('/v1/health', (_req, res) => {
    const { status } = health();
    const told = status === 'active' || status === 'waiting' ? status : 'starting';
    res.set('cache-control', 'no-cache, no-store, must-revalidate');
    res.status(told === 'active' ? 200 : 202).json({ status: told });
  });
}

/** Without the token, as scrapers ask: the text has numbers and ids of sources, and nothing confidential. */
export function metricsRoute(app: Express, metrics: () => string): void {
  // `send` would put the parts of the type in an order of its own.
  app.get('/metrics', (_req, res) => void res.writeHead(200, { 'content-type': METRICS_TYPE }).end(metrics()));
}
