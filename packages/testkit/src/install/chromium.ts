import { findServer } from './find-server.ts';

/** Path of Chromium's program, installed when it is missing and we may. Throws SERVER_MISSING with what to install. */
export function findChromium(): Promise<string> {
  return findServer('chromium');
}
