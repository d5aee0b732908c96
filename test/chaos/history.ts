import { createWriteStream, mkdirSync, type WriteStream } from 'node:fs';
import { join } from 'node:path';

/** What is kept of each actor in memory, for the report of a violation. */
const KEPT = 60;

/**
 * Everything that happens in a run, one line each with its time in seconds: in a file, where a folder was given, and the last of
 * each actor in memory.
 */
export class History {
  readonly #file: WriteStream | undefined;
  readonly #logs = new Map<string, WriteStream>();
  readonly #folder: string | undefined;
  readonly #last = new Map<string, string[]>();
  readonly #start = performance.now();

  constructor(folder: string | undefined) {
    this.#folder = folder;
    if (folder === undefined) return;
    mkdirSync(folder, { recursive: true });
    this.#file = createWriteStream(join(folder, 'history.log'));
  }

  note(actor: string, what: string, details: object = {}): void {
    const seconds = ((performance.now() - this.#start) / 1_000).toFixed(3);
    const line = `${seconds} ${actor} ${what} ${JSON.stringify(details, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value))}`;
    this.#file?.write(`${line}\n`);
    const last = this.#last.get(actor) ?? [];
    if (last.length === 0) this.#last.set(actor, last);
    last.push(line);
    if (last.length > KEPT) last.shift();
  }

  /** The last lines of an actor. */
  last(actor: string): readonly string[] {
    return this.#last.get(actor) ?? [];
  }

  /** It is not coming back. */
  forget(actor: string): void {
    this.#last.delete(actor);
  }

  /** A line that a process of the cluster wrote. */
  log(process: string, line: string): void {
    if (this.#folder === undefined) return;
    let file = this.#logs.get(process);
    if (file === undefined) {
      file = createWriteStream(join(this.#folder, `${process}.log`), { flags: 'a' });
      this.#logs.set(process, file);
    }
    file.write(`${line}\n`);
  }

  async close(): Promise<void> {
    const files = [...this.#logs.values(), ...(this.#file ? [this.#file] : [])];
    await Promise.all(files.map((file) => new Promise<void>((done) => file.end(done))));
  }
}
