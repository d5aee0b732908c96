import type { TypeModule } from './scalar-types.ts';
import { compareIntervals, decodeInterval, formatInterval, intervalKey, parseInterval } from './interval.ts';
import type { Interval } from './interval-value.ts';
import { INET_TYPES } from './inet.ts';
import { JSONB } from './json.ts';
import { RANGE_TYPES } from './range.ts';

const INTERVAL: TypeModule = {
  name: 'interval',
  parse: (text) => {
    const value = parseInterval(text);
    return { value, text: formatInterval(value) };
  },
  decode: decodeInterval,
  format: (value) => formatInterval(value as Interval),
  compare: compareIntervals,
  key: intervalKey,
};

/** Types whose values have parts. */
export const STRUCTURED_TYPES: readonly TypeModule[] = [INTERVAL, JSONB, ...RANGE_TYPES, ...INET_TYPES];
