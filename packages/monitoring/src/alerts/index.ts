import type { Alert, AlertGroup } from './alert.ts';
import { API_ALERTS } from './api.ts';
import { PROCESS_ALERTS } from './process.ts';
import { ROUTER_ALERTS } from './router.ts';
import { SOURCE_ALERTS } from './source.ts';
import { STORE_ALERTS } from './store.ts';
import { STREAM_ALERTS } from './stream.ts';

/** Every alert there is (spec O 10, D O12), by what it is about. */
export const ALERT_GROUPS: readonly AlertGroup[] = [
  SOURCE_ALERTS,
  STREAM_ALERTS,
  ROUTER_ALERTS,
  STORE_ALERTS,
  API_ALERTS,
  PROCESS_ALERTS,
];

export const ALERTS: readonly Alert[] = ALERT_GROUPS.flatMap(({ alerts }) => alerts);
