import type { Messaging, UsageReporter } from '@shapecast/messaging';
import type { Logger } from '@shapecast/service-kit';
import { followAccessFile } from '../access/access-file.ts';
import { Gate } from '../access/gate.ts';
import type { HealthStatus } from '../http/other-routes.ts';
import { followSecretsFile } from '../secrets-file.ts';
import { Secrets } from '../secrets.ts';
import type { ServingOptions } from './assemble.ts';
import type { ProcessSources, SourcesReport } from './process-sources.ts';
import { SourceApi, type ProcessParts } from './source-api.ts';
import type { SourceFront } from './source-front.ts';

interface OneSourceOptions extends ServingOptions {
  readonly source: string;
  /** Empty, and no file: no authentication. */
  readonly secrets: readonly string[];
  readonly secretsFile?: string | undefined;
  readonly accessFile?: string | undefined;
}

/** The one source that a process has from its environment. Whatever source a request names, it is meant. */
export class OneSource implements ProcessSources {
  readonly #parts: ProcessParts & { readonly log: Logger };
  readonly #options: OneSourceOptions;
  readonly #secrets: Secrets;
  readonly #api: SourceApi;

  constructor(parts: ProcessParts & { readonly log: Logger }, options: OneSourceOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#secrets = new Secrets(options.secrets);
    const gate = new Gate(this.#secrets, parts.log);
    this.#api = new SourceApi({ ...parts, gate }, { ...options, limits: {}, eager: true });
  }

  /** Files are read before it returns its promise. */
  async follow(signal: AbortSignal): Promise<void> {
    const { secretsFile, accessFile } = this.#options;
    const { gate } = this.#api;
    await Promise.all([
      secretsFile === undefined ? undefined : followSecretsFile(secretsFile, this.#secrets, this.#parts, signal),
      accessFile === undefined ? undefined : followAccessFile(accessFile, gate, this.#parts, signal),
    ]);
  }

  /** Served from now on, whether anybody asks or not. */
  async connected(messaging: Messaging, reporter: UsageReporter, signal: AbortSignal): Promise<void> {
    const { running } = this.#api.serve(messaging);
    const remove = reporter.add(this.#options.source, () => this.#api.usage(), { readers: this.#api.readers });
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    remove();
    await this.#api.rest();
    await running;
  }

  of(): SourceFront {
    return this.#api;
  }

  health(asked: unknown): HealthStatus | undefined {
    return asked === undefined || asked === this.#options.source ? this.#api.status() : undefined;
  }

  drain(spreadMs: number): void {
    this.#api.drain(spreadMs);
  }

  /** Not that the source is active: shapes that exist are served whatever is missing, by every pod (deployment H20). */
  get able(): boolean {
    const { assembled } = this.#api;
    return assembled !== undefined && assembled.check.refusal === undefined;
  }

  report(): SourcesReport {
    const api = this.#api;
    const { assembled } = api;
    const { source } = assembled ?? {};
    const stale = source?.stale;
    return {
      status: stale === undefined ? api.status() : 'stale',
      stale,
      shedding: source?.shedding,
      missing: api.missing,
      conditions: source?.conditions,
      asleep: source?.asleep ?? false,
      incarnation: source?.record?.incarnation,
      held: assembled?.hub.held ?? 0,
      inProgress: api.inProgress,
      permits: api.permits.used,
    };
  }
}
