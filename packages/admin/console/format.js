const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
const UNKNOWN = '–';

/** @param {number | undefined} bytes */
export function size(bytes) {
  if (bytes === undefined) return UNKNOWN;
  let value = bytes;
  let unit = 0;
  while (Math.abs(value) >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

/** @param {number | null | undefined} value */
export function number(value) {
  if (value === undefined || value === null) return UNKNOWN;
  if (Math.abs(value) >= 100 || Number.isInteger(value)) return Math.round(value).toLocaleString('en');
  return value.toFixed(1);
}

/** @param {number | null | undefined} perSecond */
export function rate(perSecond) {
  return perSecond === undefined || perSecond === null ? UNKNOWN : `${number(perSecond)}/s`;
}

/** @param {number | null | undefined} ms */
export function duration(ms) {
  if (ms === undefined || ms === null) return UNKNOWN;
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  const minutes = Math.round(ms / 60_000);
  if (minutes < 60) return `${minutes} min`;
  return minutes < 2_880 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${Math.round(minutes / 1_440)} days`;
}

/** @param {string | undefined} iso */
export function ago(iso) {
  if (iso === undefined) return 'never';
  const ms = Date.now() - Date.parse(iso);
  return ms < 2_000 ? 'now' : `${duration(ms)} ago`;
}

/** @param {string} iso */
export function moment(iso) {
  return new Date(iso).toLocaleTimeString('en', { hour12: false });
}
