import { CLUSTER } from './cluster.ts';
import type { Dashboard } from './dashboard.ts';
import { EDGE } from './edge.ts';
import { SOURCE } from './source.ts';

export const DASHBOARDS: readonly Dashboard[] = [CLUSTER, SOURCE, EDGE];
