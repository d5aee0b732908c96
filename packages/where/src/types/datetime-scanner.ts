import { InputError } from '../errors.ts';
import { DAY_US } from './calendar.ts';
import { timeZone, type TimeZone } from './time-zone.ts';
import { isDigit } from './value.ts';

/**
 * Reads the pieces of a date-time from left to right; every method throws InputError when its piece is not there. What is
 * only not in our part of the notation is undecided (spec W 5.6); a field out of range is an error in Postgres too.
 */
export class DateTimeScanner {
  readonly #text: string;
  #at = 0;
  /** The fraction rounded up to a whole second. */
  #carried = false;

  constructor(text: string) {
    this.#text = text;
  }

  date(): { year: number; month: number; day: number } {
    const run = this.#digitRun();
    if (run === 8 && this.#text[this.#at + 8] !== '-') {
      return checkedDate({ year: this.#number(4), month: this.#number(2), day: this.#number(2) });
    }
    if (run < 4 || run > 7) throw new InputError('invalid syntax', true);
    const year = this.#number(run);
    this.#expect('-');
    const month = this.#fixed(2);
    this.#expect('-');
    const day = this.#fixed(2);
    return checkedDate({ year, month, day });
  }

  /** Microseconds since midnight, at most 24 hours. */
  time(): number {
    let hour = this.#fixed(2);
    this.#expect(':');
    const minute = this.#fixed(2);
    let second = 0;
    let fraction = 0;
    if (this.#skip(':')) {
      second = this.#fixed(2);
      if (this.#skip('.')) fraction = this.#fraction();
      this.#carried = fraction === 1_000_000;
    }
    const half = this.#meridiem();
    if (half !== undefined) {
      if (hour > 12) throw new InputError('out of range');
      hour = (hour % 12) + half;
    }
    const time = ((hour * 60 + minute) * 60 + second) * 1_000_000 + fraction;
    // A leap second or a fraction that rounds up may reach midnight, never pass it.
    if (hour > 24 || minute > 59 || second > 60 || time > DAY_US) throw new InputError('out of range');
    return time;
  }

  /** Seconds east of UTC of `Z` and `+05:30`, the zone of a name. */
  zone(): number | TimeZone | undefined {
    const start = this.#at;
    while (this.#skip(' ')) continue;
    const char = this.#text[this.#at];
    if (char === '+' || char === '-') return this.#numericZone();
    const name = this.#name();
    if (name === '' || name.toUpperCase() === 'BC') {
      this.#at = start;
      return undefined;
    }
    this.#at += name.length;
    const zone = timeZone(name);
    // Postgres looks the zone's offset up before it carries, which matters in the second before a change of clocks.
    if (this.#carried) throw new InputError('invalid syntax', true);
    if (zone === undefined) throw new InputError('time zone not recognized', true);
    return zone;
  }

  /** `T`, or blanks, when a time follows. */
  skipTimeSeparator(): boolean {
    const char = this.#text[this.#at];
    if (char !== 'T' && char !== 't' && char !== ' ') return false;
    let next = this.#at + 1;
    if (char === ' ') while (this.#text[next] === ' ') next++;
    if (!isDigit(this.#text.charCodeAt(next))) return false;
    this.#at = next;
    return true;
  }

  skipBc(): boolean {
    let next = this.#at;
    while (this.#text[next] === ' ') next++;
    if (this.#text.slice(next).toUpperCase() !== 'BC') return false;
    this.#at = next + 2;
    return true;
  }

  end(): void {
    if (this.#at !== this.#text.length) throw new InputError('invalid syntax', true);
  }

  /** 0 for AM, 12 for PM. */
  #meridiem(): 0 | 12 | undefined {
    const start = this.#at;
    while (this.#skip(' ')) continue;
    const word = this.#name().toUpperCase();
    if (word !== 'AM' && word !== 'PM') {
      this.#at = start;
      return undefined;
    }
    this.#at += 2;
    return word === 'AM' ? 0 : 12;
  }

  /** Sign and `HH`, `HHMM`, `HH:MM` or `HH:MM:SS`. */
  #numericZone(): number {
    const west = this.#text[this.#at] === '-';
    this.#at++;
    const run = this.#digitRun();
    if (run !== 2 && run !== 4) throw new InputError('invalid syntax', true);
    const hours = this.#number(2);
    let minutes = 0;
    let seconds = 0;
    if (run === 4) minutes = this.#number(2);
    else if (this.#skip(':')) {
      minutes = this.#fixed(2);
      if (this.#skip(':')) seconds = this.#fixed(2);
    }
    if (hours > 15 || minutes > 59 || seconds > 59) throw new InputError('out of range');
    const total = (hours * 60 + minutes) * 60 + seconds;
    return west ? -total : total;
  }

  /** The word that begins here with a letter, with all that may be in the name of a zone; empty when there is none. */
  #name(): string {
    let end = this.#at;
    while (isNameCharacter(this.#text.charCodeAt(end), end > this.#at)) end++;
    return this.#text.slice(this.#at, end);
  }

  #digitRun(): number {
    let end = this.#at;
    while (isDigit(this.#text.charCodeAt(end))) end++;
    return end - this.#at;
  }

  /** Exactly `length` digits that no digit follows. */
  #fixed(length: number): number {
    if (this.#digitRun() !== length) throw new InputError('invalid syntax', true);
    return this.#number(length);
  }

  #number(length: number): number {
    const value = Number(this.#text.slice(this.#at, this.#at + length));
    this.#at += length;
    return value;
  }

  /** Fraction of a second in microseconds, rounded as C's `rint(frac * 1000000)` does. */
  #fraction(): number {
    const run = this.#digitRun();
    if (run === 0 || run > 30) throw new InputError('invalid syntax', true);
    const digits = this.#text.slice(this.#at, this.#at + run);
    this.#at += run;
    if (run <= 6) return Number(digits.padEnd(6, '0'));
    const exact = Number(`0.${digits}`) * 1_000_000;
    const floor = Math.floor(exact);
    const rest = exact - floor;
    if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1;
    return floor % 2 === 0 ? floor : floor + 1;
  }

  #skip(char: string): boolean {
    if (this.#text[this.#at] !== char) return false;
    this.#at++;
    return true;
  }

  #expect(char: string): void {
    if (!this.#skip(char)) throw new InputError('invalid syntax', true);
  }
}

function checkedDate(date: { year: number; month: number; day: number }): typeof date {
  if (date.month < 1 || date.month > 12 || date.day < 1 || date.day > 31) throw new InputError('out of range');
  return date;
}

function isNameCharacter(code: number, inside: boolean): boolean {
  if ((code >= 65 && code <= 90) || (code >= 97 && code <= 122)) return true;
  // + - / : _
  return inside && (isDigit(code) || code === 43 || code === 45 || code === 47 || code === 58 || code === 95);
}
