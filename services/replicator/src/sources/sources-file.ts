import { isShapecastError } from '@shapecast/errors';
import type { Registries, Registry } from '@shapecast/messaging';
import { Backoff, wallTime, type Clock, type Environment, type Logger } from '@shapecast/service-kit';
import type { DeclaredSources } from '@shapecast/sources';
import type { Metrics } from '@shapecast/telemetry';
import { SourcesFileReader, type ReadSources } from './sources-file-reader.ts';

/** Registry bucket of the sources file: one key. */
const FILES = { name: 'shapecast_sources_file', key: 'file' } as const;
/** Versions that are remembered as replaced. */
const REPLACED = 50;

interface FileRecord {
  readonly v: 1;
  /** Version that is declared, or is being declared. */
  readonly version: string;
  /** Versions that it followed, the newest first. */
  readonly replaced: readonly string[];
  /** Grows when somebody finds that its own writes may have got between those of the current version. */
  readonly again: number;
}

interface FileDeps {
  readonly registries: Registries;
  readonly declared: DeclaredSources;
  /** Versions of the file that other processes have. */
  readonly others: () => readonly string[];
  /** The registry has lost what was declared of a source. */
  readonly isLost?: (id: string) => boolean;
  readonly clock: Clock;
  readonly log: Logger;
}

interface FileOptions {
  readonly path: string;
  readonly env: Environment;
  /** Versions are made with it. */
  readonly key: string;
}

/** What the health port says of it (spec D H15). */
export interface FileReport {
  /** The last look at it found it fine, and what it says is declared. */
  readonly ok: boolean;
  /** ISO time. */
  readonly lastSuccess?: string;
  readonly version?: string;
  readonly sources?: number;
  /** Each begins with the source and the field that is wrong. */
  readonly problems?: readonly string[];
}

const POLL_MS = 1_000;

/**
 * Follows the file of sources and declares what it says. Several replicators have a copy each, which change at different times; so what
 * counts is the change: a copy is declared when it is read first and whenever it has changed. One that is read first and turns out to be
 * a version that was replaced, while others that live have the one that replaced it, is an old copy and waits for its change.
 */
export class SourcesFile {
  readonly #deps: FileDeps;
  readonly #reader: SourcesFileReader;
  #report: FileReport = { ok: false };
  /** Version that was read last, fine or not, and the one that is declared. */
  #read: string | undefined;
  #declared: string | undefined;
  #again = 0;
  /** An old copy that was told of. */
  #waiting: string | undefined;

  constructor(deps: FileDeps, options: FileOptions) {
    this.#deps = deps;
    this.#reader = new SourcesFileReader(options.path, options.env, options.key);
  }

  get report(): FileReport {
    return this.#report;
  }

  get version(): string | undefined {
    return this.#declared;
  }

  /** Until `signal` aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    const backoff = new Backoff(clock, { minMs: 500, maxMs: 10_000 });
    while (!signal.aborted) {
      const worked = await this.#look();
      if (worked) backoff.reset();
      await clock.sleep(worked ? POLL_MS : backoff.nextDelayMs(), signal).catch(() => undefined);
    }
  }

  /** False when it is to be tried again though the file stays as it is. */
  async #look(): Promise<boolean> {
    let read: ReadSources;
    try {
      read = this.#reader.read();
    } catch (err) {
      const { code = 'unknown' } = err as { readonly code?: string };
      this.#bad([`the file cannot be read (${code})`], code);
      return true;
    }
    if (!read.ok) {
      this.#bad(read.problems, read.version);
      return true;
    }
    try {
      await this.#declare(read.version, read.sources);
      return true;
    } catch (err) {
      if (isShapecastError(err, 'INVALID_CONFIG')) {
        const { problems } = err.details;
        this.#bad(Array.isArray(problems) ? problems.map(String) : [err.message], read.version);
      } else if (this.#report.ok || this.#report.problems === undefined) {
        this.#deps.log.warn({ err }, 'the sources file cannot be declared, trying again');
        this.#report = { ...this.#report, ok: false, problems: ['NATS does not take it; it is tried again'] };
      }
      return false;
    }
  }

  /** The last good version stays. */
  #bad(problems: readonly string[], version: string): void {
    const { ok: _, problems: __, ...last } = this.#report;
    this.#report = { ...last, ok: false, problems };
    if (this.#read === version) return;
    this.#read = version;
    this.#deps.log.error({ problems }, 'the sources file is wrong, what it said before stays');
  }

  async #declare(version: string, sources: Extract<ReadSources, { ok: true }>['sources']): Promise<void> {
    const { declared, log, clock, registries, isLost } = this.#deps;
    const files = await registries.open<FileRecord>(FILES.name);
    const now = await files.get(FILES.key);
    const mine = now?.value.version === version;
    // Other versions are others' to declare; one that is not there at all was lost, with all that was declared.
    const lost = isLost !== undefined && [...sources.keys()].some(isLost);
    const done = now !== undefined && (!mine || (now.value.again === this.#again && !lost));
    if (version === this.#declared && done) return this.#good(version, sources.size);
    if (this.#isOld(version, now?.value)) {
      if (this.#waiting !== version) log.warn({}, 'the sources file here is an old copy, others have a newer one');
      this.#waiting = version;
      return;
    }
    const { again } = await claim(files, version);
    const changed = await declared.declareFile(sources);
    // Somebody with another version came in between: those who have it declare it once more.
    if (!(await settle(files, version))) return;
    const first = this.#declared !== version;
    this.#declared = version;
    this.#read = version;
    this.#again = again;
    this.#waiting = undefined;
    this.#good(version, sources.size, wallTime(clock));
    if (first || changed.length > 0) log.info({ changed, sources: sources.size }, 'the sources file is declared');
    for (const id of changed) {
      if (sources.has(id)) continue;
      log.warn({ source: id }, 'a source is no longer in the file: nobody is served, its slot stays and keeps WAL');
    }
  }

  /** Only a copy that was never declared from here can be: what changes under our eyes is new. */
  #isOld(version: string, record: FileRecord | undefined): boolean {
    if (this.#declared !== undefined || record === undefined || record.version === version) return false;
    return record.replaced.includes(version) && this.#deps.others().includes(record.version);
  }

  #good(version: string, sources: number, at?: number): void {
    const { lastSuccess } = this.#report;
    const time = at === undefined ? lastSuccess : new Date(at).toISOString();
    this.#report = { ok: true, ...(time === undefined ? {} : { lastSuccess: time }), version, sources };
  }
}

/** The health report's lines about the file, as metrics. */
export function watchSourcesFile(metrics: Metrics, report: () => FileReport): void {
  metrics.gauge('shapecast.config.last_reload.successful', {}, () => Number(report().ok));
  metrics.gauge('shapecast.config.last_reload.success_timestamp', {}, () => {
    const { lastSuccess } = report();
    return lastSuccess === undefined ? undefined : Date.parse(lastSuccess) / 1_000;
  });
}

/** Makes it the version that is being declared. */
async function claim(files: Registry<FileRecord>, version: string): Promise<FileRecord> {
  for (;;) {
    const before = await files.get(FILES.key);
    if (before?.value.version === version) return before.value;
    const replaced = before === undefined ? [] : [before.value.version, ...before.value.replaced];
    const record: FileRecord = {
      v: 1,
      version,
      replaced: [...new Set(replaced)].filter((each) => each !== version).slice(0, REPLACED),
      again: (before?.value.again ?? 0) + 1,
    };
    const written =
      before === undefined
        ? await files.create(FILES.key, record)
        : await files.update(FILES.key, record, before.revision);
    if (written !== undefined) return record;
  }
}

/** Whether it still is the one. If not, whoever has the one that is writes it again, over what was mixed with it. */
async function settle(files: Registry<FileRecord>, version: string): Promise<boolean> {
  for (;;) {
    const now = await files.get(FILES.key);
    if (now === undefined || now.value.version === version) return true;
    const { value, revision } = now;
    if ((await files.update(FILES.key, { ...value, again: value.again + 1 }, revision)) !== undefined) return false;
  }
}
