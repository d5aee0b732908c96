import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDatabase, sharedPostgresUrl, type TestDatabase } from '@shapecast/testkit';
import { InputError } from '../errors.ts';
import { anyIntervalLiteral, anyTimeLiteral, anyTimestampLiteral } from './datetime.arbitrary.ts';
import {
  formatDate,
  formatTime,
  formatTimestamp,
  parseDate,
  parseTime,
  parseTimestamp,
  parseTimestamptz,
} from './datetime.ts';
import { compareIntervals, decodeInterval, formatInterval, intervalKey, parseInterval } from './interval.ts';
import { localOffset, timeZone, type TimeZone } from './time-zone.ts';

/** Input of dates, times and intervals, and time zones, against Postgres itself. */
const CASES = Number(process.env['SHAPECAST_ORACLE_CASES'] ?? 1500);
const SEED = Number(process.env['SHAPECAST_ORACLE_SEED'] ?? 1);

let database: TestDatabase;
let client: pg.Client;

beforeAll(async () => {
  database = await createDatabase(process.env['SHAPECAST_ORACLE_URL'] ?? sharedPostgresUrl());
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
  await client.query(`SET TimeZone = 'UTC'; SET DateStyle = 'ISO, DMY'; SET IntervalStyle = 'iso_8601'`);
});

afterAll(async () => {
  await client.end();
  await database.drop();
});

describe('literals', () => {
  test.each([
    ['date', anyTimestampLiteral, (text: string) => formatDate(parseDate(text))],
    ['timestamp', anyTimestampLiteral, (text: string) => formatTimestamp(parseTimestamp(text), '')],
    ['timestamptz', anyTimestampLiteral, (text: string) => formatTimestamp(parseTimestamptz(text), '+00')],
    ['time', anyTimeLiteral, (text: string) => formatTime(parseTime(text))],
    ['interval', anyIntervalLiteral, (text: string) => formatInterval(parseInterval(text))],
  ] as const)('%s: what is taken means the same to Postgres, and what is surely wrong is an error', async (...row) => {
    const [type, literals, read] = row;
    const texts = fc.sample(literals, { numRuns: CASES, seed: SEED });
    const expected = await input(type, texts);
    let taken = 0;
    for (const [i, text] of texts.entries()) {
      try {
        const value = read(text);
        taken++;
        expect({ text, value }).toEqual({ text, value: expected[i] });
      } catch (error) {
        if (!(error instanceof InputError)) throw error;
        if (!error.undecided) expect({ text, value: expected[i] }).toEqual({ text, value: 'error' });
      }
    }
    expect(taken).toBeGreaterThan(texts.length / 5);
  });
});

describe('interval', () => {
  test('order, equality and keys are those of Postgres', async () => {
    const span = fc
      .tuple(fc.integer({ min: -70, max: 70 }), fc.integer({ min: -70, max: 70 }), fc.integer({ min: -50, max: 50 }))
      .map(([months, days, hours]) => `P${months}M${days}DT${hours}H`);
    const largest = fc.constantFrom('P178956970Y7M2147483647DT2147483647H', 'P-178956970Y-8M-2147483648D', 'PT0S');
    const equal = fc.constantFrom('P1M', 'P30D', 'PT720H', 'P1M1D', 'P31D', 'P31DT0.000001S', 'P2M-30D');
    const pairs = fc.sample(fc.tuple(fc.oneof(span, equal, largest), fc.oneof(span, equal, largest)), {
      numRuns: CASES,
      seed: SEED,
    });
    const { rows } = await client.query<{ a: string; b: string; order: number }>(
      `SELECT a::text, b::text, interval_cmp(a, b) AS order
         FROM unnest($1::interval[], $2::interval[]) WITH ORDINALITY AS u(a, b, n) ORDER BY n`,
      [pairs.map(([a]) => a), pairs.map(([, b]) => b)],
    );
    for (const { a, b, order } of rows) {
      expect({ a, b, order: compareIntervals(decodeInterval(a), decodeInterval(b)) }).toEqual({ a, b, order });
      expect({ a, b, equal: intervalKey(a) === intervalKey(b) }).toEqual({ a, b, equal: order === 0 });
    }
  });
});

describe('time zones', () => {
  /** From here on the tz databases of the runtime and the server may foresee different rules (spec W 10.5 b). */
  const AGREED_UNTIL = Date.UTC(2026, 0, 1) / 1000;
  const STEADY = [
    ...['UTC', 'America/Denver', 'Europe/Berlin', 'Asia/Kolkata', 'Australia/Lord_Howe', 'America/St_Johns'],
    ...['Africa/Monrovia', 'Pacific/Apia', 'Europe/Dublin', 'America/New_York', 'Asia/Kathmandu', 'Europe/London'],
    ...['Etc/GMT+3', 'Japan', 'CET', 'IST', '-05:30', 'GMT-3', 'utc+03:30:15', '+14'],
  ];
  const RESTLESS = ['Africa/Casablanca', 'America/Sao_Paulo', 'Europe/Moscow', 'Asia/Gaza', 'Antarctica/Troll'];

  test.each([...STEADY, ...RESTLESS])('%s has the offsets Postgres knows, also around changes', async (name) => {
    const zone = timeZone(name);
    if (zone === undefined) throw new Error(`no zone ${name}`);
    const end = STEADY.includes(name) ? Date.UTC(2100, 0, 1) / 1000 : AGREED_UNTIL;
    const instants = fc.sample(fc.integer({ min: Date.UTC(1850, 0, 1) / 1000, max: end }), {
      numRuns: 200,
      seed: SEED,
    });
    for (const { at, before, after } of changes(zone, end)) {
      for (const near of [at, at + before, at + after]) instants.push(near - 1, near, near + 1);
      instants.push(at + Math.floor((before + after) / 2));
    }
    const { rows } = await client.query<{ utc: number; local: number }>(
      `SELECT extract(epoch FROM (t AT TIME ZONE $1) - (t AT TIME ZONE 'UTC'))::int AS utc,
              extract(epoch FROM l - ((l AT TIME ZONE $1) AT TIME ZONE 'UTC'))::int AS local
         FROM unnest($2::float8[]) WITH ORDINALITY AS u(s, n), to_timestamp(s) AS t, timezone('UTC', t) AS l ORDER BY n`,
      [name, instants],
    );
    for (const [i, instant] of instants.entries()) {
      const got = { utc: zone.offsetAt(instant), local: localOffset(zone, instant) };
      expect({ instant, ...got }).toEqual({ instant, ...rows[i] });
    }
  });

  test('takes no name that Postgres does not know', async () => {
    const names = [
      '',
      'Mars/Phobos',
      'IST',
      'foo bar',
      'US/Pacific-New',
      'SystemV/EST5',
      'EST5EDT',
      '+05:30',
      'Zulu',
      'AET',
    ];
    for (const name of names) {
      const known = await client.query('SELECT now() AT TIME ZONE $1', [name]).then(
        () => true,
        () => false,
      );
      expect({ name, known: timeZone(name) === undefined || known }).toEqual({ name, known: true });
    }
  });
});

/** What the input function of `type` makes of each text, or `error`. */
async function input(type: string, texts: readonly string[]): Promise<readonly string[]> {
  await client.query(`CREATE OR REPLACE FUNCTION pg_temp.attempt(t text) RETURNS text LANGUAGE plpgsql AS $f$
    BEGIN RETURN t::${type}::text; EXCEPTION WHEN others THEN RETURN 'error'; END $f$`);
  const { rows } = await client.query<{ r: string }>(
    'SELECT pg_temp.attempt(t) AS r FROM unnest($1::text[]) WITH ORDINALITY AS u(t, n) ORDER BY n',
    [texts],
  );
  return rows.map(({ r }) => r);
}

/** Changes of a zone's offset from 1850, to the second. */
function changes(zone: TimeZone, end: number): { at: number; before: number; after: number }[] {
  const day = 86_400;
  const found = [];
  for (let start = Date.UTC(1850, 0, 1) / 1000; start < end; start += 7 * day) {
    const before = zone.offsetAt(start);
    const after = zone.offsetAt(start + 7 * day);
    if (before === after) continue;
    let low = start;
    let high = start + 7 * day;
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (zone.offsetAt(middle) === before) low = middle;
      else high = middle;
    }
    found.push({ at: high, before, after });
  }
  return found;
}
