const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** Such as `1.5 GiB`. */
export function sizeText(bytes: number | bigint): string {
  let size = Number(bytes);
  let unit = 0;
  while (Math.abs(size) >= 1024 && unit < UNITS.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? size : size.toFixed(size >= 100 ? 0 : 1)} ${UNITS[unit]}`;
}

/** Such as `350 ms`, `4.2 s`, `3 h 20 min`. */
export function durationText(ms: number): string {
  const size = Math.abs(ms);
  if (size < 1_000) return `${Math.round(size)} ms`;
  if (size < 60_000) return `${(size / 1_000).toFixed(1)} s`;
  const minutes = Math.round(size / 60_000);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** A share as whole per cent. */
export function shareText(part: number, whole: number): string {
  return `${Math.round((100 * part) / whole)} %`;
}

/** The first few of many names. */
export function namesText(names: readonly string[], most = 5): string {
  const rest = names.length - most;
  return rest > 0 ? `${names.slice(0, most).join(', ')} and ${rest} more` : names.join(', ');
}

export function numberText(value: number | undefined): string {
  return value === undefined ? '-' : String(Math.round(value * 10) / 10);
}

export function rateText(perSecond: number | undefined): string {
  return perSecond === undefined ? '-' : `${numberText(perSecond)}/s`;
}
