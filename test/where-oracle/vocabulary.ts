import { COLUMNS } from './table.ts';
import type { Term } from './term.ts';
import { RANGE_SUBTYPES } from './value-pools.ts';

/** A construct of the language and how to make one; the oracle goes through all of them in turn. */
export interface Construct {
  readonly name: string;
  readonly make: (depth: number) => Term;
}

/** Types by kind, as the generator draws them. */
export const NUMBERS = ['int2', 'int4', 'int8', 'numeric', 'float4', 'float8'];
export const STRINGS = ['text', 'varchar', 'bpchar', 'name'];
/** Zones for AT TIME ZONE, good and bad; units for EXTRACT. */
export const ZONES = [
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'Asia/Kolkata',
  'EST',
  'utc',
  'Australia/Lord_Howe',
  'America/St_Johns',
  'Nowhere/Land',
  '+02',
  '-05:30',
  'PST8PDT',
];
export const FIELDS =
  'year month day hour minute second quarter week dow doy isodow isoyear decade century millennium epoch milliseconds microseconds julian timezone Year nonsense'.split(
    ' ',
  );

/** Types with an order. */
export const ORDERED = [
  ...NUMBERS,
  ...STRINGS,
  'date',
  'time',
  'timestamp',
  'timestamptz',
  'interval',
  'uuid',
  'bytea',
  'mood',
  'bool',
  'posint',
  'label',
  'jsonb',
  'inet',
  'cidr',
  'size',
];
/** Array types of columns, each as often as there are columns. */
export const ARRAYS = COLUMNS.map(({ type }) => type).filter((type) => type.endsWith('[]'));
export const RANGES = Object.keys(RANGE_SUBTYPES);

/** Types a value may be asked of; those people filter by most come more often. */
export const VALUE_TYPES = [...ORDERED, ...ORDERED.slice(0, 14), 'int4', 'text', ...new Set(ARRAYS), ...RANGES];
