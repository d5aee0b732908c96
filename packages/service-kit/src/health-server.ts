import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Component } from './component.ts';

/** What a process says of itself on its health port. Plain data, no secrets. */
export interface HealthReport {
  /** Does its whole job at the moment. A process that lost a server is alive and not ready. */
  readonly ready: boolean;
  readonly status: string;
  readonly [detail: string]: unknown;
}

/** A process that listens has a configuration it can work with; what it connects to may be away for days (spec O 2.2, D H20). */
const LIVE: ReadonlySet<string> = new Set(['/live', '/livez', '/startupz']);
const REPORT: ReadonlySet<string> = new Set(['/ready', '/readyz', '/health']);

interface HealthServerOptions {
  readonly port: number;
  readonly host: string;
  /** Measurements of the process in the text format of Prometheus; without them there is no `/metrics`. */
  readonly metrics?: () => string;
}

/** Version 0.0.4 of the text format, which every scraper reads. */
export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/**
 * Answers `GET /live`, `/livez` and `/startupz` (200 while the process runs, whatever it has lost), `GET /ready`, `/readyz` and
 * `/health` (200 or 503, the report as JSON), and `GET /v1/health` as the API does on its public port (200 or 202, the status) (spec
 * O 1.1.3, D H20). `GET /metrics` answers what Prometheus scrapes, made at the time of asking (spec D O8).
 */
export class HealthServer implements Component {
  readonly name = 'health-server';
  readonly #report: () => HealthReport;
  readonly #options: HealthServerOptions;
  readonly #server: Server;

  constructor(report: () => HealthReport, options: HealthServerOptions) {
    this.#report = report;
    this.#options = options;
    this.#server = createServer((request, response) => {
      const path = (request.url ?? '/').split('?')[0] ?? '/';
      if (LIVE.has(path)) return void response.writeHead(200).end('ok\n');
      if (path === '/v1/health') return void answerStatus(response, this.#report().status);
      if (path === '/metrics' && options.metrics !== undefined) {
        return void response.writeHead(200, { 'content-type': METRICS_TYPE }).end(options.metrics());
      }
      if (!REPORT.has(path)) return void response.writeHead(404).end('Not found\n');
      const report = this.#report();
      response.writeHead(report.ready ? 200 : 503, { 'content-type': 'application/json; charset=utf-8' });
      response.end(`${JSON.stringify(report)}\n`);
    });
  }

  /** Where it listens; valid after start. */
  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#options.port, this.#options.host, () => resolve());
    });
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

/** Of the public endpoint's three: a standby waits, which is fine; whatever else is not active is on its way. */
function answerStatus(response: ServerResponse, status: string): void {
  const told = status === 'active' || status === 'waiting' ? status : 'starting';
  const headers = { 'content-type': 'application/json', 'cache-control': 'no-cache, no-store, must-revalidate' };
  response.writeHead(told === 'active' ? 200 : 202, headers).end(JSON.stringify({ status: told }));
}
