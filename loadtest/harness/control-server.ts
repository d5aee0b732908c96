import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Plan } from '../lib/plan.ts';
import type { ReaderReport } from '../lib/reports.ts';
import { MergedReports } from './merged-reports.ts';
import type { WriterRun } from './writer-run.ts';

/** A report of a virtual user with its series and receipts; more is a mistake. */
const MAX_BODY_BYTES = 32 * 1024 * 1024;

/** What k6 asks and tells the writer: HTTP, because that is what k6 speaks. */
export class ControlServer {
  readonly #run: WriterRun;
  readonly #readers: Readonly<Record<string, number>>;
  readonly #reports = new MergedReports();
  readonly #server: Server;

  private constructor(run: WriterRun, plan: Plan) {
    this.#run = run;
    const readers: Record<string, number> = {};
    for (const { kind, subscribers } of plan.readers) readers[kind] = (readers[kind] ?? 0) + subscribers;
    this.#readers = readers;
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch((error: unknown) => {
        response.writeHead(500).end(error instanceof Error ? error.message : String(error));
      });
    });
  }

  static async listen(run: WriterRun, plan: Plan, host: string, port: number): Promise<ControlServer> {
    const control = new ControlServer(run, plan);
    await new Promise<void>((resolve, reject) => {
      control.#server.once('error', reject);
      control.#server.listen({ host, port }, resolve);
    });
    return control;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const json = (value: unknown): void => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    };
    switch (`${request.method} ${request.url}`) {
      case 'GET /state':
        return json(this.#run.state);
      case 'GET /finals':
        if (this.#run.finals !== undefined) return json(this.#run.finals);
        return void response.writeHead(425).end('the writer has not finished');
      case 'GET /figures': {
        const startedMs = this.#run.state.startedMs ?? 0;
        return json({
          writer: this.#run.figures(),
          series: this.#reports.series(startedMs),
          lastReader: this.#reports.lastReader(this.#readers),
        });
      }
      case 'POST /start':
        this.#run.start();
        return json(this.#run.state);
      case 'POST /ready': {
        const { readers } = JSON.parse(await bodyOf(request)) as { readers: number };
        this.#run.ready(readers);
        return json(this.#run.state);
      }
      case 'POST /report':
        this.#reports.add(JSON.parse(await bodyOf(request)) as ReaderReport);
        return json({});
      default:
        return void response.writeHead(404).end('no such question');
    }
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.byteLength;
    if (bytes > MAX_BODY_BYTES) throw new Error('the body is too large');
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}
