import { AccessPolicy, parsePolicy } from '@shapecast/access';
import type { UsageReporter } from '@shapecast/messaging';
import { wallTime, type Logger } from '@shapecast/service-kit';
import type { Source, SourceComponent } from '@shapecast/sources';
import { Gate } from '../access/gate.ts';
import { Secrets } from '../secrets.ts';
import type { ServingOptions } from './assemble.ts';
import { SourceApi, type ProcessParts } from './source-api.ts';
import { GONE, PAUSED } from './source-front.ts';

/** What expires is told late otherwise; with many sources reading all of them again costs more than that is worth. */
const REFRESH_MS = 10_000;

interface HostedParts extends ProcessParts {
  readonly log: Logger;
  readonly reporter: UsageReporter;
  /** Secrets that open every source. */
  readonly edge: Secrets | undefined;
}

/** A source from the registry. All that its declaration says of the API changes while it runs, so it is never started anew. */
export class HostedSource implements SourceComponent {
  readonly name: string;
  readonly api: SourceApi;
  readonly #parts: HostedParts;
  readonly #secrets = new Secrets([]);
  /** What the policy in use was made from, as JSON. */
  #access: string | undefined;
  #remove: (() => void) | undefined;

  constructor(parts: HostedParts, options: ServingOptions, source: Source) {
    const { id, limits } = source.settings;
    this.name = `source ${id}`;
    this.#parts = parts;
    const gate = new Gate(this.#secrets, parts.log, { discreet: true, edge: parts.edge });
    this.api = new SourceApi({ ...parts, gate }, { ...options, source: id, limits, stateRefreshMs: REFRESH_MS });
    this.update(source);
  }

  start(): Promise<void> {
    this.#remove = this.#parts.reporter.add(this.api.id, () => this.api.usage(), { readers: this.api.readers });
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#remove?.();
    this.gone();
    await this.api.rest();
    this.api.close();
  }

  update({ settings: { state, limits }, api }: Source): boolean {
    // Who is let in comes first, whatever becomes of the rest.
    this.#secrets.replace(api?.secrets ?? [], { insecure: api?.insecure === true });
    this.#usePolicy(api?.access);
    this.api.quotas.limits = limits;
    this.api.draining = state === 'draining';
    this.api.refuse(state === 'paused' ? PAUSED : undefined);
    return true;
  }

  /** From now on nobody is answered. */
  gone(): void {
    this.#secrets.replace([], { insecure: false });
    this.#usePolicy(undefined);
    this.api.refuse(GONE);
  }

  /** The one in use stays as long as it says the same: it knows keys, and tokens that it has checked. */
  #usePolicy(access: unknown): void {
    const text = access === undefined ? undefined : JSON.stringify(access);
    const { gate } = this.api;
    if (text === undefined) gate.useNone();
    else if (text !== this.#access) {
      const parsed = parsePolicy(access);
      if (parsed.ok) {
        gate.use(new AccessPolicy(parsed.policy, { now: () => wallTime(this.#parts.clock) }));
      } else {
        gate.useNone();
        this.#parts.log.error({ problems: parsed.problems }, 'access policy cannot be used, no token is taken');
      }
    }
    this.#access = text;
  }
}
