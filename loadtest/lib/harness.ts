import http from 'k6/http';
import { sleep } from 'k6';
import type { Finals, ReaderReport, WriterState } from './reports.ts';
import { pause } from './subscriber.ts';

const params = { tags: { name: 'writer' }, responseType: 'text', timeout: 60_000 } as const;
const EXPECTED = http.expectedStatuses(200, 425);
const POLL_MS = 500;

/** The writer's side of a run, as k6 sees it (harness/control-server.ts). */
export class Harness {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  /** So many readers more are up to date; the writer begins with the last of all. */
  async ready(readers: number): Promise<void> {
    await this.#ask('POST', '/ready', { readers });
  }

  async state(): Promise<WriterState> {
    return this.#ask<WriterState>('GET', '/state');
  }

  /** Resolves with the writer's clock when it began; throws when that does not happen in time. */
  async started(deadlineMs: number): Promise<number> {
    for (;;) {
      const { state, startedMs, problem } = await this.state();
      if (state === 'failed') throw new Error(`the writer failed: ${problem}`);
      if (startedMs !== undefined) return startedMs;
      if (Date.now() > deadlineMs) throw new Error('the writer did not begin: some readers never were up to date');
      await pause(POLL_MS);
    }
  }

  /** What Postgres has after everything was written; undefined when that is not in time. */
  async finals(deadlineMs: number): Promise<Finals | undefined> {
    for (;;) {
      const response = await http.asyncRequest('GET', `${this.#url}/finals`, null, {
        ...params,
        responseCallback: EXPECTED,
      });
      if (response.status === 200) return JSON.parse(response.body) as Finals;
      if (Date.now() > deadlineMs) return undefined;
      await pause(POLL_MS);
    }
  }

  async report(report: ReaderReport): Promise<void> {
    await this.#ask('POST', '/report', report);
  }

  /** In `setup`, which has no event loop to wait on: begins and waits until everything is written. */
  writeAll(): Finals {
    http.post(`${this.#url}/start`, null, params);
    for (;;) {
      const { state, problem } = JSON.parse(http.get(`${this.#url}/state`, params).body) as WriterState;
      if (state === 'failed') throw new Error(`the writer failed: ${problem}`);
      if (state === 'quiet') return JSON.parse(http.get(`${this.#url}/finals`, params).body) as Finals;
      sleep(POLL_MS / 1_000);
    }
  }

  async #ask<T>(method: string, path: string, body?: unknown): Promise<T> {
    const text = body === undefined ? null : JSON.stringify(body);
    const response = await http.asyncRequest(method, `${this.#url}${path}`, text, params);
    if (response.status !== 200)
      throw new Error(`the writer answers ${path} with ${response.status}: ${String(response.body)}`);
    return JSON.parse(response.body) as T;
  }
}
