import { Complaints, type Clock, type Component, type Logger } from '@shapecast/service-kit';
import type { Hints } from './hints.ts';
import { addUsage, type SourceDetails, type SourceUsage, type UsageReport } from './source-usage.ts';
import { USAGE_ASK_SUBJECT, USAGE_SUBJECT, usageAnswerSubject } from './subjects.ts';
import { decodeQuestion, encodeAnswer, type UsageQuestion } from './usage-question.ts';

const REPORT_MS = 2_000;
/** How often everything is told, whoever may have missed it. */
const FULL_MS = 60_000;
/** Whoever asks more often is answered no more often. */
const ANSWER_MS = 500;
/** Servers take messages of 1 MiB unless somebody has set less. */
const MAX_BYTES = 128 * 1024;

interface ReporterDeps {
  readonly hints: Hints;
  readonly clock: Clock;
  readonly log: Logger;
}

interface ReporterOptions {
  /** Instance of this process; another one after each start. */
  readonly process: string;
  readonly role: UsageReport['role'];
}

interface Part {
  readonly read: () => SourceUsage;
  readonly details: SourceDetails;
}

/** A source that is no longer here says nothing of itself. */
const NOTHING: SourceUsage = {};

/**
 * Tells what this process does for its sources, one for the process: every two seconds the sources whose numbers changed, every
 * minute and when a board asks all of them. Reports are hints: one that is lost is made good by the next.
 */
export class UsageReporter implements Component {
  readonly name = 'usage reporter';
  readonly #deps: ReporterDeps;
  readonly #options: ReporterOptions;
  readonly #complaints: Complaints;
  readonly #parts = new Map<string, Set<Part>>();
  /** What was told last, as text. */
  #told = new Map<string, string>();
  readonly #begin: number;
  #fullAt = 0;
  #cancel: (() => void) | undefined;
  #cancelAnswer: (() => void) | undefined;
  #unsubscribe: (() => void) | undefined;

  constructor(deps: ReporterDeps, options: ReporterOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#complaints = new Complaints(deps.clock);
    this.#begin = deps.clock.now();
  }

  /**
   * `read` is called every two seconds and should cost next to nothing, `details` when somebody looks. Several parts of a source are
   * added up. The returned function removes this one.
   */
  add(source: string, read: () => SourceUsage, details: SourceDetails = {}): () => void {
    const parts = this.#parts.get(source) ?? new Set();
    this.#parts.set(source, parts);
    const part: Part = { read, details };
    parts.add(part);
    return () => {
      parts.delete(part);
      if (parts.size === 0 && this.#parts.get(source) === parts) this.#parts.delete(source);
    };
  }

  start(): Promise<void> {
    this.#unsubscribe = this.#deps.hints.subscribe(
      USAGE_ASK_SUBJECT,
      (payload) => (payload.length === 0 ? this.#answer() : this.#tell(decodeQuestion(payload))),
      () => this.#answer(),
    );
    this.#report(true);
    this.#next();
    return Promise.resolve();
  }

  /** Tells that the process leaves. */
  stop(): Promise<void> {
    if (this.#unsubscribe === undefined) return Promise.resolve();
    this.#unsubscribe();
    this.#unsubscribe = undefined;
    this.#cancel?.();
    this.#cancelAnswer?.();
    this.#send([], { leaving: true });
    return Promise.resolve();
  }

  #next(): void {
    this.#cancel = this.#deps.clock.after(REPORT_MS, () => {
      this.#report(this.#deps.clock.now() - this.#fullAt >= FULL_MS);
      this.#next();
    });
  }

  #answer(): void {
    this.#cancelAnswer ??= this.#deps.clock.after(ANSWER_MS * this.#deps.clock.random(), () => {
      this.#cancelAnswer = undefined;
      this.#report(true);
    });
  }

  #report(everything: boolean): void {
    const now = new Map<string, string>();
    for (const [source, parts] of this.#parts) {
      const usage = this.#read(source, parts);
      if (usage !== undefined) now.set(source, JSON.stringify(usage));
    }
    const gone = [...this.#told.keys()].filter((source) => !now.has(source));
    const news = [...now].filter(([source, text]) => everything || this.#told.get(source) !== text);
    this.#told = now;
    if (everything) this.#fullAt = this.#deps.clock.now();
    this.#send([...news, ...gone.map((source) => [source, JSON.stringify(NOTHING)] as const)]);
  }

  #read(source: string, parts: Iterable<Part>): SourceUsage | undefined {
    try {
      return [...parts].map(({ read }) => read()).reduce(addUsage);
    } catch (err) {
      if (this.#complaints.failed(source)) this.#deps.log.error({ err, source }, 'usage of a source cannot be read');
      return undefined;
    }
  }

  /** A detail of a source, if this process has it. */
  #tell(question: UsageQuestion | undefined): void {
    const { hints, log } = this.#deps;
    for (const { details } of this.#parts.get(question?.source ?? '') ?? []) {
      if (question === undefined || details[question.what] === undefined) continue;
      try {
        const value = question.what === 'readers' ? details.readers?.(question.most) : details.matching?.();
        hints.publish(usageAnswerSubject(question.id), encodeAnswer({ process: this.#options.process, value }));
      } catch (err) {
        log.error({ err, source: question.source }, 'a detail of a source cannot be told');
      }
    }
  }

  /** In as many messages as it takes; at least one, which says that the process lives. */
  #send(entries: readonly (readonly [source: string, usage: string])[], more: { readonly leaving?: true } = {}): void {
    let part: string[] = [];
    let size = 0;
    const flush = () => {
      this.#publish(`{${part.join(',')}}`, more);
      part = [];
      size = 0;
    };
    for (const [source, usage] of entries) {
      const text = `${JSON.stringify(source)}:${usage}`;
      const bytes = Buffer.byteLength(text) + 1;
      if (bytes > MAX_BYTES) continue;
      if (size + bytes > MAX_BYTES) flush();
      part.push(text);
      size += bytes;
    }
    if (part.length > 0 || entries.length === 0) flush();
  }

  #publish(sources: string, more: { readonly leaving?: true }): void {
    const { hints, clock } = this.#deps;
    const head: Omit<UsageReport, 'sources'> = {
      v: 1,
      ...this.#options,
      uptimeMs: clock.now() - this.#begin,
      ...more,
    };
    hints.publish(USAGE_SUBJECT, Buffer.from(`${JSON.stringify(head).slice(0, -1)},"sources":${sources}}`));
  }
}
