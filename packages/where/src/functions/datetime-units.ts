import { ClauseEvaluationError } from '../errors.ts';

/** Units of `extract` and `date_trunc`. */
export type Unit =
  | 'microsecond'
  | 'millisecond'
  | 'second'
  | 'minute'
  | 'hour'
  | 'day'
  | 'week'
  | 'month'
  | 'quarter'
  | 'year'
  | 'decade'
  | 'century'
  | 'millennium'
  | 'julian'
  | 'isoyear'
  | 'dow'
  | 'isodow'
  | 'doy'
  | 'epoch'
  | 'timezone'
  | 'timezone_hour'
  | 'timezone_minute';

/** Names as Postgres knows them; it compares the first ten characters. */
const COMMON: Partial<Record<Unit, string>> = {
  microsecond: 'us usec usecs usecond useconds microsecon',
  millisecond: 'ms msec msecs msecond mseconds millisecon',
  second: 's sec secs second seconds',
  minute: 'm min mins minute minutes',
  hour: 'h hr hrs hour hours',
  day: 'd day days',
  week: 'w week weeks',
  month: 'mon mons month months',
  quarter: 'qtr quarter',
  year: 'y yr yrs year years',
  decade: 'dec decs decade decades',
  century: 'c cent centuries century',
  millennium: 'mil mils millennia millennium',
  timezone: 'timezone',
  timezone_hour: 'timezone_h',
  timezone_minute: 'timezone_m',
};
const EXTRACT_ONLY: Partial<Record<Unit, string>> = {
  julian: 'j jd julian',
  isoyear: 'isoyear',
  dow: 'dow',
  isodow: 'isodow',
  doy: 'doy',
  epoch: 'epoch',
  minute: 'mm',
};

const TRUNC_UNITS = table(COMMON);
const EXTRACT_UNITS = new Map([...TRUNC_UNITS, ...table(EXTRACT_ONLY)]);

/** The unit `date_trunc` knows under this name. Throws ClauseEvaluationError when it is none. */
export function truncUnit(name: string): Unit {
  return find(TRUNC_UNITS, name);
}

/** The unit `extract` knows under this name. Throws ClauseEvaluationError when it is none. */
export function extractUnit(name: string): Unit {
  return find(EXTRACT_UNITS, name);
}

export function unsupportedUnit(type: string): ClauseEvaluationError {
  return new ClauseEvaluationError('postgres', `unit not supported for type ${type}`);
}

function find(units: ReadonlyMap<string, Unit>, name: string): Unit {
  const unit = units.get(asciiLower(name.slice(0, 10)));
  if (unit === undefined) throw new ClauseEvaluationError('postgres', 'unit not recognized');
  return unit;
}

/** Postgres lower-cases units as it does identifiers: ASCII letters only. */
function asciiLower(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

function table(units: Partial<Record<Unit, string>>): Map<string, Unit> {
  const pairs = (Object.entries(units) as [Unit, string][]).flatMap(([unit, names]) =>
    names.split(' ').map((name): [string, Unit] => [name, unit]),
  );
  return new Map(pairs);
}
