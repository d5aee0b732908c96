/** Strings up to this length are checked character by character, which is faster than entering the regular expression. */
const SHORT = 48;
// Control characters, quote and backslash have to be escaped; surrogates are left to JSON.stringify, which keeps pairs
// and escapes halves.
const SPECIAL = /["\\\u0000-\u001f\ud800-\udfff]/;

/** A JSON string with its quotes: the same text as JSON.stringify, which most values do not need. */
export function jsonString(value: string): string {
  return isPlain(value) ? `"${value}"` : JSON.stringify(value);
}

/** A JSON string without its opening quote, for callers whose text before it ends in one. */
export function jsonTail(value: string): string {
  return isPlain(value) ? `${value}"` : JSON.stringify(value).slice(1);
}

function isPlain(value: string): boolean {
  const length = value.length;
  if (length > SHORT) return !SPECIAL.test(value);
  for (let i = 0; i < length; i += 1) {
    const code = value.charCodeAt(i);
    if (code < 32 || code === 34 || code === 92 || (code >= 0xd800 && code <= 0xdfff)) return false;
  }
  return true;
}
