import { ClauseEvaluationError } from '../errors.ts';
import { characterCount, characterIndex, padCharacters, stripTrailingBlanks, truncateName } from '../types/text.ts';
import type { Implementations } from './implementation.ts';

/** Casts between the text types, and their length coercions. */
export const TEXT_CASTS: Implementations = {
  'text(bool)': (value: boolean) => (value ? 'true' : 'false'),
  'text(bpchar)': stripTrailingBlanks,
  'text(name)': (text: string) => text,
  'varchar(name)': (text: string) => text,
  'bpchar(name)': (text: string) => text,
  'name(text)': truncateName,
  'name(varchar)': truncateName,
  // Blanks that come to the end by cutting go too.
  'name(bpchar)': (text: string) => stripTrailingBlanks(truncateName(text)),
  'varchar(varchar,int4,bool)': coerceVarchar,
  'bpchar(bpchar,int4,bool)': coerceBpchar,
};

/** What `pg_attribute.atttypmod` adds to the declared length. */
const HEADER = 4;
/** The longest `char(n)` that may be padded for every row; Postgres itself goes to ten million. */
const MAX_PADDED = 1 << 20;

function coerceVarchar(text: string, typmod: number, explicit: boolean): string {
  const length = typmod - HEADER;
  return length < 0 ? text : cut(text, length, explicit, 'varchar');
}

function coerceBpchar(text: string, typmod: number, explicit: boolean): string {
  const length = typmod - HEADER;
  if (length < 0) return text;
  const count = characterCount(text);
  if (count > length) return cut(text, length, explicit, 'char');
  if (length > MAX_PADDED && count < length) {
    throw new ClauseEvaluationError('undecided', `char(${length}) is longer than ${MAX_PADDED} characters`);
  }
  return padCharacters(text, length);
}

/** Only an explicit cast cuts off what is not blank. */
function cut(text: string, length: number, explicit: boolean, type: string): string {
  const end = characterIndex(text, length);
  if (!explicit && stripTrailingBlanks(text).length > end) {
    throw new ClauseEvaluationError('postgres', `value too long for type ${type}(${length})`);
  }
  return text.slice(0, end);
}
