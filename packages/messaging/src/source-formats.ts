import { randomUUID } from 'node:crypto';
import { FIRST_FORMATS, formatRefusal, KNOWN_FORMATS, type Formats } from '@shapecast/log';
import { Backoff, emitEvent, type Clock, type Logger } from '@shapecast/service-kit';
import { BUCKETS, type FormatRecord, type ReaderRecord } from './records.ts';
import type { Registries, Registry } from './registry.ts';

interface FormatDeps {
  readonly registries: Registries;
  readonly clock: Clock;
  readonly log: Logger;
}

interface FormatOptions {
  readonly source: string;
  readonly role: ReaderRecord['role'];
  /** What the process reads; the program's unless it is given. */
  readonly known?: Formats;
  readonly lookMs?: number;
  /** How long no process that knows less must have been seen until the others write what they know. */
  readonly quietMs?: number;
}

const LOOK_MS = 5_000;
const QUIET_MS = 600_000;

/** What every one of these processes reads. */
export function commonFormats(readers: readonly Formats[], known: Formats): Formats {
  const least = (name: keyof Formats) => Math.min(known[name], ...readers.map((reader) => reader[name]));
  return { record: least('record'), log: least('log') };
}

/**
 * Which formats may be written for a source (spec O 2.5). Every process tells what it reads. What may be written is in one record, set by
 * an operator, or by the leading replicator once no process that knows less was seen for ten minutes; it never goes back, so whoever
 * knows less than it says, a program that was put back to an older version for one, must not take part.
 */
export class SourceFormats {
  readonly #deps: FormatDeps;
  readonly #options: FormatOptions;
  readonly #known: Formats;
  readonly #key: string;
  readonly #looked = Promise.withResolvers<void>();
  readonly #listeners = new Set<() => void>();
  #used: Formats = FIRST_FORMATS;
  #refusal: string | undefined;
  /** What everybody reads, and since when. */
  #common: { readonly text: string; readonly since: number } | undefined;

  constructor(deps: FormatDeps, options: FormatOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#known = options.known ?? KNOWN_FORMATS;
    this.#key = `${options.source}.${randomUUID()}`;
  }

  /** What may be written. */
  get used(): Formats {
    return this.#used;
  }

  /** One sentence, while this process must not take part. */
  get refusal(): string | undefined {
    return this.#refusal;
  }

  /** Resolves once the record was read. */
  get looked(): Promise<void> {
    return this.#looked.promise;
  }

  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Tells what this process reads, and follows what may be written, until `signal` aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, registries } = this.#deps;
    const { role, source, lookMs = LOOK_MS } = this.#options;
    const backoff = new Backoff(clock, { minMs: 100, maxMs: lookMs });
    const { name, ttlMs } = BUCKETS.readers;
    let readers: Registry<ReaderRecord> | undefined;
    let stop: (() => void) | undefined;
    while (!signal.aborted) {
      try {
        readers ??= await registries.open<ReaderRecord>(name, { ttlMs });
        await readers.put(this.#key, { v: 1, role, ...this.#known });
        const formats = await registries.open<FormatRecord>(BUCKETS.formats.name);
        stop ??= await formats.watch(source, (key, entry) => {
          if (key === source && entry !== undefined) this.#read(entry.value);
        });
        this.#read((await formats.get(source))?.value ?? FIRST_FORMATS);
        backoff.reset();
        await clock.sleep(lookMs, signal);
      } catch (err) {
        if (signal.aborted) break;
        log.debug({ err }, 'formats of the source cannot be read');
        await backoff.wait(signal).catch(() => undefined);
      }
    }
    stop?.();
    await readers?.delete(this.#key).catch(() => undefined);
  }

  /** For the leading replicator: raises what may be written. Until `signal` aborts; never rejects. */
  async keep(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps;
    while (!signal.aborted) {
      await this.#raise().catch((err: unknown) => log.debug({ err }, 'formats of the source were not looked after'));
      await clock.sleep(this.#options.lookMs ?? LOOK_MS, signal).catch(() => undefined);
    }
  }

  async #raise(): Promise<void> {
    const { clock, log, registries } = this.#deps;
    const { source, quietMs = QUIET_MS } = this.#options;
    const { name, ttlMs } = BUCKETS.readers;
    const readers = await (await registries.open<ReaderRecord>(name, { ttlMs })).list(`${source}.`);
    const common = commonFormats(
      readers.map(({ value }) => value),
      this.#known,
    );
    const text = JSON.stringify(common);
    if (this.#common?.text !== text) this.#common = { text, since: clock.now() };
    const formats = await registries.open<FormatRecord>(BUCKETS.formats.name);
    const entry = await formats.get(source);
    const used = entry?.value ?? FIRST_FORMATS;
    const next = { v: 1, record: Math.max(used.record, common.record), log: Math.max(used.log, common.log) } as const;
    if (next.record === used.record && next.log === used.log) return;
    if (clock.now() - this.#common.since < quietMs) return;
    const done =
      entry === undefined ? await formats.create(source, next) : await formats.update(source, next, entry.revision);
    if (done !== undefined) log.info({ record: next.record, log: next.log }, 'newer formats are written from now on');
  }

  #read({ record, log }: Formats): void {
    const before = this.#refusal;
    this.#used = { record, log };
    const message = formatRefusal(this.#concerns({ record, log }), this.#known);
    this.#refusal = message;
    this.#looked.resolve();
    if (message === before) return;
    if (message !== undefined) emitEvent(this.#deps.log, 'warning', { type: 'format_unknown', message });
    for (const listener of this.#listeners) listener();
  }

  /** Replicators have nothing to do with the logs of shapes, and API pods nothing with the tx stream. */
  #concerns({ record, log }: Formats): Partial<Formats> {
    const { role } = this.#options;
    return { ...(role === 'api' ? {} : { record }), ...(role === 'replicator' ? {} : { log }) };
  }
}
