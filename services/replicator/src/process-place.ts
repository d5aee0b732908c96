import { hostname } from 'node:os';

/** Where a process runs. */
export interface ProcessPlace {
  readonly host: string;
  readonly pid: number;
}

export function ownPlace(): ProcessPlace {
  return { host: hostname(), pid: process.pid };
}

/**
 * Whether the process of that place is gone for certain, as this process can see it: it was on this host, or in this container before it
 * was started again, and nobody has its number now, or this process itself has.
 */
export function isGone(place: ProcessPlace, own: ProcessPlace): boolean {
  if (place.host !== own.host) return false;
  if (place.pid === own.pid) return true;
  try {
    process.kill(place.pid, 0);
    return false;
  } catch (err) {
    return (err as { readonly code?: string }).code === 'ESRCH';
  }
}
