import { createServer, type Server } from 'node:http';
import { METRICS_TYPE } from '@shapecast/service-kit';

/** A port for scrapers alone, as the reference has it (ELECTRIC_PROMETHEUS_PORT). */
export class MetricsPort {
  readonly #port: number;
  readonly #server: Server;

  constructor(text: () => string, port: number) {
    this.#port = port;
    this.#server = createServer((request, response) => {
      if (request.url?.split('?')[0] !== '/metrics') return void response.writeHead(404).end('Not found\n');
      response.writeHead(200, { 'content-type': METRICS_TYPE }).end(text());
    });
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#port, () => resolve());
    });
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}
