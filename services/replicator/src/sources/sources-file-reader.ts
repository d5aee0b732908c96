import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Environment } from '@shapecast/service-kit';
import { parseSourcesFile, type Lookup, type ParsedSources } from '@shapecast/sources';

/** A file of sources as it was read, with the files it names. */
export type ReadSources = ParsedSources & {
  /** Of all that it says; tells nothing of it to who has not the key. */
  readonly version: string;
};

interface Seen {
  readonly text: string;
  /** Files that it names, by path; undefined: it cannot be read. */
  readonly named: ReadonlyMap<string, string | undefined>;
  readonly read: ReadSources;
}

/**
 * Reads a file of sources again and again, and takes it apart only when it, or a file that it names, has changed. Paths in it are relative
 * to the folder it is in, however that is reached: Kubernetes swaps a folder for another one.
 */
export class SourcesFileReader {
  readonly #path: string;
  readonly #env: Environment;
  readonly #key: string;
  #seen: Seen | undefined;

  constructor(path: string, env: Environment, key: string) {
    this.#path = path;
    this.#env = env;
    this.#key = key;
  }

  /** Throws when the file itself cannot be read. */
  read(): ReadSources {
    const text = readFileSync(this.#path, 'utf8');
    if (this.#seen === undefined || this.#hasChanged(this.#seen, text)) this.#seen = this.#parse(text);
    return this.#seen.read;
  }

  #hasChanged(seen: Seen, text: string): boolean {
    return seen.text !== text || [...seen.named].some(([path, value]) => contentOf(path).value !== value);
  }

  #parse(text: string): Seen {
    const hash = createHmac('sha256', this.#key).update(text);
    const named = new Map<string, string | undefined>();
    const lookup: Lookup = (from) => {
      const value = 'file' in from ? this.#readNamed(from.file, named) : this.#env[from.env];
      if (value === undefined || value === '') throw new Error('env' in from ? 'is not set' : 'the file is empty');
      hash.update(`\n${JSON.stringify(from)}\n${value}`);
      return value;
    };
    const parsed = parseSourcesFile(text, lookup);
    return { text, named, read: { ...parsed, version: hash.digest('hex').slice(0, 16) } };
  }

  /** The reason without the path, which may say more than whoever reads it is to know. */
  #readNamed(name: string, named: Map<string, string | undefined>): string {
    const path = resolve(dirname(this.#path), name);
    const { value, code } = contentOf(path);
    named.set(path, value);
    if (value !== undefined) return value;
    throw new Error(code === 'ENOENT' ? 'there is no such file' : 'the file cannot be read');
  }
}

function contentOf(path: string): { readonly value?: string; readonly code?: string | undefined } {
  try {
    return { value: readFileSync(path, 'utf8') };
  } catch (err) {
    return { code: (err as { readonly code?: string }).code };
  }
}
