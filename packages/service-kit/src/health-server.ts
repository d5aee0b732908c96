import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Component } from './component.ts';

/** What a process says of itself on its health port. Plain data, no secrets. */
export interface HealthReport {
  /** Does its whole job at the moment. A process that lost a server is alive and not ready. */
  readonly ready: boolean;
  readonly status: string;
  readonly [detail: string]: unknown;
}

const LIVE: ReadonlySet<string> = new Set(['/live', '/livez']);
const REPORT: ReadonlySet<string> = new Set(['/ready', '/readyz', '/health']);

/**
 * Answers `GET /live` and `/livez` (200 while the process runs, whatever it has lost), `GET /ready`, `/readyz` and `/health`
 * (200 or 503, the report as JSON) (spec O 1.1.3).
 */
export class HealthServer implements Component {
  readonly name = 'health-server';
  readonly #report: () => HealthReport;
  readonly #options: { readonly port: number; readonly host: string };
  readonly #server: Server;

  constructor(report: () => HealthReport, options: { readonly port: number; readonly host: string }) {
    this.#report = report;
    this.#options = options;
    this.#server = createServer((request, response) => {
      const path = (request.url ?? '/').split('?')[0] ?? '/';
      if (LIVE.has(path)) return void response.writeHead(200).end('ok\n');
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
