import type { Position } from '@shapecast/log';

/** An entry of a shape's log, with how many entries it stands for. */
interface Entry {
  readonly position: Position;
  /** JSON bytes of the message. */
  readonly bytes: Uint8Array;
  readonly merged: number;
}

/** Updates that one merged update may stand for (spec R 11.6.3). */
const MAX_MERGED = 65_535;

/** Members of a JSON object: names and values as they were written, so that merging changes no value. */
type Members = Map<string, string>;

interface Message {
  readonly key: string;
  readonly operation: string;
  /** JSON text. */
  readonly value: string;
  readonly oldValue: string | undefined;
  readonly headers: string;
}

/** An update that later ones of its key may still be merged into. */
interface OpenUpdate {
  readonly position: Position;
  merged: number;
  readonly headers: string;
  /** Texts while it stands for one entry only. */
  value: string | Members;
  oldValue: string | Members | undefined;
}

/** One place of the result, in order; an update that was merged into a later one leaves it empty. */
interface Slot {
  readonly key: string;
  update: OpenUpdate | undefined;
  readonly done: Entry | undefined;
}

/**
 * Merges updates of the same key that no insert or delete of that key lies between, at the place of the last of them: values
 * from left to right, so that the newest wins, old values with the oldest winning (spec R 11.6.3). The headers of everything else
 * are reduced as well (R 11.6.4). Whoever applies the result to the rows that the first entry was to be applied to ends with the
 * same rows. Works on the texts that `RowEncoder` writes.
 */
export class UpdateMerger {
  readonly #slots: Slot[] = [];
  /** By key: the slot of an update that may be merged. */
  readonly #updates = new Map<string, Slot>();

  add(entry: Entry): void {
    const message = parse(
      Buffer.from(entry.bytes.buffer, entry.bytes.byteOffset, entry.bytes.byteLength).toString('latin1'),
    );
    // Not a change of a row: nothing is known to be superfluous in it.
    if (message === undefined) {
      this.#slots.push({ key: '', update: undefined, done: entry });
      return;
    }
    const { key, operation, value, oldValue, headers } = message;
    if (operation !== '"update"') {
      this.#updates.delete(key);
      this.#slots.push({ key, update: undefined, done: write(entry, message) });
      return;
    }
    const before = this.#updates.get(key);
    const { position, merged } = entry;
    const update: OpenUpdate = { position, merged, headers, value, oldValue };
    if (before?.update && before.update.merged + entry.merged <= MAX_MERGED) {
      update.merged += before.update.merged;
      update.value = overlay(before.update.value, value);
      if (before.update.oldValue !== undefined || oldValue !== undefined) {
        update.oldValue = underlay(before.update.oldValue, oldValue);
      }
      before.update = undefined;
    }
    const slot: Slot = { key, update, done: undefined };
    this.#slots.push(slot);
    this.#updates.set(key, slot);
  }

  *entries(): Generator<Entry> {
    for (const { key, update, done } of this.#slots) {
      if (done !== undefined) yield done;
      if (update === undefined) continue;
      const { headers, value, oldValue } = update;
      yield write(update, { key, headers, value: text(value), oldValue: oldValue && text(oldValue) });
    }
  }
}

/** The newer members over the older ones. */
function overlay(older: string | Members, newer: string): Members {
  const members = typeof older === 'string' ? membersOf(older) : older;
  for (const [name, value] of membersOf(newer)) members.set(name, value);
  return members;
}

/** The older members over the newer ones. */
function underlay(older: string | Members | undefined, newer: string | undefined): Members {
  const members =
    older === undefined ? new Map<string, string>() : typeof older === 'string' ? membersOf(older) : older;
  if (newer !== undefined) {
    for (const [name, value] of membersOf(newer)) if (!members.has(name)) members.set(name, value);
  }
  return members;
}

function text(value: string | Members): string {
  if (typeof value === 'string') return value;
  return `{${[...value].map(([name, one]) => `${name}:${one}`).join(',')}}`;
}

function write(
  { position, merged }: Pick<Entry, 'position' | 'merged'>,
  { key, value, oldValue, headers }: Pick<Message, 'key' | 'value' | 'oldValue' | 'headers'>,
): Entry {
  const old = oldValue === undefined ? '' : `,"old_value":${oldValue}`;
  const bytes = Buffer.from(`{"key":${key},"value":${value}${old},"headers":${headers}}`, 'latin1');
  return { position, bytes, merged };
}

/** A change message with its headers reduced. Undefined for what is none. */
function parse(message: string): Message | undefined {
  const members = membersOf(message);
  const [key, value, headers] = [members.get('"key"'), members.get('"value"'), members.get('"headers"')];
  if (key === undefined || value === undefined || headers === undefined) return undefined;
  const all = membersOf(headers);
  const [operation, relation] = [all.get('"operation"'), all.get('"relation"')];
  if (operation === undefined) return undefined;
  const reduced = `{"operation":${operation}${relation === undefined ? '' : `,"relation":${relation}`}}`;
  return { key, operation, value, oldValue: members.get('"old_value"'), headers: reduced };
}

const QUOTE = 34;
const BACKSLASH = 92;
const COLON = ':';
const SEPARATOR = ',';

/** The members of a JSON object without white space, as texts. Bytes are read as characters: all that counts is ASCII. */
function membersOf(object: string): Members {
  const members: Members = new Map();
  let at = 1;
  while (object[at] !== '}') {
    if (object[at] === SEPARATOR) at += 1;
    const nameEnd = endOfString(object, at);
    if (object[nameEnd] !== COLON) throw new Error('a log entry is not in the form in which entries are written');
    const valueEnd = endOfValue(object, nameEnd + 1);
    members.set(object.slice(at, nameEnd), object.slice(nameEnd + 1, valueEnd));
    at = valueEnd;
  }
  return members;
}

function endOfValue(json: string, start: number): number {
  const first = json[start];
  if (first === '"') return endOfString(json, start);
  let at = start;
  if (first === '{' || first === '[') {
    for (let depth = 0; ; at += 1) {
      const char = json[at];
      if (char === undefined) throw new Error('a log entry ends too early');
      if (char === '"') at = endOfString(json, at) - 1;
      else if (char === '{' || char === '[') depth += 1;
      else if (char === '}' || char === ']') depth -= 1;
      if (depth === 0) return at + 1;
    }
  }
  while (at < json.length && !',}]'.includes(json[at] as string)) at += 1;
  return at;
}

/** Index after the closing quote of the string that opens at `start`. */
function endOfString(json: string, start: number): number {
  let from = start + 1;
  for (;;) {
    const quote = json.indexOf('"', from);
    if (quote < 0 || json.charCodeAt(start) !== QUOTE) throw new Error('a log entry ends too early');
    let backslashes = 0;
    while (json.charCodeAt(quote - 1 - backslashes) === BACKSLASH) backslashes += 1;
    if (backslashes % 2 === 0) return quote + 1;
    from = quote + 1;
  }
}
