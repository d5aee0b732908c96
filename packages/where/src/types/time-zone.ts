import { ClauseEvaluationError } from '../errors.ts';

/** Days whose offsets a zone keeps; the rows of a busy table are of few days. */
const MAX_CACHED_DAYS = 4096;
const DAY_SECONDS = 86_400;
/** 3000-01-01 in Unix seconds: from here the rules of every zone repeat with the calendar, every 400 years. */
const PERIODIC_FROM = 32_503_680_000;
const PERIOD_SECONDS = 146_097 * DAY_SECONDS;

/** The rules of a time zone. Instants are whole Unix seconds; offsets are seconds east of UTC. */
export interface TimeZone {
  readonly offsetAt: (instant: number) => number;
}

/**
 * Offsets of abbreviations that mean the same at any date in the `Default` list of Postgres 14 to 18. An abbreviation goes
 * before a zone of the same name: `EST` is five hours west all year and `IST` is Israel's. Those whose meaning depends on
 * the date (`MSK`) are not here.
 */
const ABBREVIATIONS: ReadonlyMap<string, number> = new Map(
  (
    'UTC 0 UCT 0 UT 0 GMT 0 Z 0 ZULU 0 WET 0 BST 1 WAT 1 CET 1 CEST 2 MET 1 MEST 2 EET 2 EEST 3 SAST 2 EAT 3 IST 2 IDT 3 ' +
    'PKT 5 NPT 5.75 ICT 7 HKT 8 JST 9 KST 9 AWST 8 ACST 9.5 ACDT 10.5 AEST 10 AEDT 11 NZST 12 NZDT 13 BRT -3 NST -3.5 ' +
    'NDT -2.5 AST -4 ADT -3 EST -5 EDT -4 CST -6 CDT -5 MST -7 MDT -6 PST -8 PDT -7 AKST -9 AKDT -8 HST -10'
  )
    .match(/\S+ \S+/g)
    ?.map((pair): [string, number] => [pair.slice(0, pair.indexOf(' ')), Number(pair.slice(pair.indexOf(' '))) * 3600]),
);

/** Zones of the tz database whose name has no slash and is no abbreviation. */
const PLAIN_NAMES = new Set(
  (
    'Cuba Egypt Eire GB GB-Eire GMT+0 GMT-0 GMT0 Greenwich Hongkong Iceland Iran Israel Jamaica Japan Kwajalein Libya NZ ' +
    'NZ-CHAT Navajo PRC Poland Portugal ROC ROK Singapore Turkey Universal W-SU EST5EDT CST6CDT MST7MDT PST8PDT'
  )
    .toUpperCase()
    .split(' '),
);

/** First parts of the names in the tz database. ICU knows other old names, which Postgres does not. */
const AREAS = new Set(
  'Africa America Antarctica Arctic Asia Atlantic Australia Brazil Canada Chile Etc Europe Indian Mexico Pacific US'
    .toUpperCase()
    .split(' '),
);
const NOT_IN_TZ_DATABASE = new Set(['US/PACIFIC-NEW', 'CANADA/EAST-SASKATCHEWAN']);

const ZONES = new Map<string, TimeZone | undefined>();
const MAX_CACHED_ZONES = 1024;

/**
 * The zone that Postgres finds under this name, in any case: an abbreviation, a name of the tz database, or an offset in
 * POSIX notation, where `UTC+3` and `+03` are three hours WEST of Greenwich. Rules of named zones are those of the
 * runtime's tz database (spec W 10.5 b). Undefined for names Postgres may know and we do not.
 */
export function timeZone(name: string): TimeZone | undefined {
  const key = name.toUpperCase();
  if (ZONES.has(key)) return ZONES.get(key);
  const zone = findZone(key);
  if (ZONES.size >= MAX_CACHED_ZONES) ZONES.clear();
  ZONES.set(key, zone);
  return zone;
}

/** As `timeZone`, for a name that comes up while a row is evaluated. Throws ClauseEvaluationError for unknown names. */
export function timeZoneOf(name: string): TimeZone {
  const zone = timeZone(name);
  if (zone !== undefined) return zone;
  // What is neither a name nor has the digits of a POSIX rule is nothing to any Postgres.
  const hopeless = name === '' || (!/[0-9]/.test(name) && /[^A-Za-z_+\-/]/.test(name));
  throw new ClauseEvaluationError(hopeless ? 'postgres' : 'undecided', 'time zone not recognized');
}

/**
 * Offset that a local time has, as Postgres settles it (DetermineTimeZoneOffset): a time that a change of clocks skips is
 * read with the offset before the change, one that occurs twice with the offset after it. `local` is the Unix time that
 * the clock would show in UTC.
 */
export function localOffset(zone: TimeZone, local: number): number {
  const from = local - DAY_SECONDS;
  const before = zone.offsetAt(from);
  // Postgres looks at the first change after `from`; offsets are below a day, so later ones than these do not matter.
  const boundary = nextChange(zone, from, before);
  if (boundary === undefined) return before;
  const after = zone.offsetAt(boundary);
  const early = local - before;
  const late = local - after;
  if (early < boundary && late < boundary) return before;
  if (early > boundary && late >= boundary) return after;
  return early > late ? before : after;
}

/** The first second with another offset than `offset`, in the two days after `from`. */
function nextChange(zone: TimeZone, from: number, offset: number): number | undefined {
  for (let step = 1; step <= 4; step++) {
    let high = from + (step * DAY_SECONDS) / 2;
    if (zone.offsetAt(high) === offset) continue;
    let low = high - DAY_SECONDS / 2;
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (zone.offsetAt(middle) === offset) low = middle;
      else high = middle;
    }
    return high;
  }
  return undefined;
}

function findZone(key: string): TimeZone | undefined {
  const fixed = ABBREVIATIONS.get(key) ?? posixOffset(key);
  if (fixed !== undefined) return { offsetAt: () => fixed };
  const slash = key.indexOf('/');
  const known = slash === -1 ? PLAIN_NAMES.has(key) : AREAS.has(key.slice(0, slash)) && !NOT_IN_TZ_DATABASE.has(key);
  return known ? namedZone(key) : undefined;
}

/** `+03`, `UTC+3`, `GMT-05:30`; the sign is that of POSIX. */
function posixOffset(key: string): number | undefined {
  const match = /^(?:UTC|GMT)?([+-])(\d\d?)(?::(\d\d)(?::(\d\d))?)?$/.exec(key);
  if (match === null || key === 'GMT+0' || key === 'GMT-0') return undefined;
  const [, sign, hours, minutes = '0', seconds = '0'] = match;
  if (Number(hours) > 24 || Number(minutes) > 59 || Number(seconds) > 59) return undefined;
  const west = (Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds);
  return sign === '-' ? west : west === 0 ? 0 : -west;
}

function namedZone(key: string): TimeZone | undefined {
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat('en-US', { timeZone: key, timeZoneName: 'longOffset' });
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
  return new NamedZone(format);
}

/** A zone of the runtime's tz database. Remembers the days it was asked for; formatting a date costs a microsecond. */
class NamedZone implements TimeZone {
  readonly #format: Intl.DateTimeFormat;
  /** Offset of a whole day, or undefined for the days on which it changes. */
  readonly #days = new Map<number, number | undefined>();

  constructor(format: Intl.DateTimeFormat) {
    this.#format = format;
  }

  readonly offsetAt = (instant: number): number => {
    const second = instant < PERIODIC_FROM ? instant : PERIODIC_FROM + ((instant - PERIODIC_FROM) % PERIOD_SECONDS);
    const day = Math.floor(second / DAY_SECONDS);
    let offset = this.#days.get(day);
    if (offset === undefined && !this.#days.has(day)) {
      offset = this.#constantOffset(day);
      if (this.#days.size >= MAX_CACHED_DAYS) this.#days.clear();
      this.#days.set(day, offset);
    }
    return offset ?? this.#read(second);
  };

  #constantOffset(day: number): number | undefined {
    const first = this.#read(day * DAY_SECONDS);
    return this.#read((day + 1) * DAY_SECONDS - 1) === first ? first : undefined;
  }

  #read(second: number): number {
    const text = this.#format.format(second * 1000);
    const at = text.lastIndexOf('GMT') + 3;
    if (at === text.length) return 0;
    // GMT+05:30 or GMT-00:44:30
    const [hours, minutes, seconds] = text.slice(at + 1).split(':');
    const offset = (Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds ?? 0);
    return text[at] === '-' ? -offset : offset;
  }
}
