import type { HistogramName } from '@shapecast/telemetry';
import { quantile, type LabelOf } from '../promql/select.ts';
import { OF_SOURCES, WINDOW } from './dashboard.ts';

/** Of a histogram of this source: half, 95 and 99 of 100. */
export function spread<N extends HistogramName>(
  name: N & ('source' extends LabelOf<N> ? N : never),
  by?: LabelOf<N> & string,
) {
  const labels = by === undefined ? [] : [by];
  const suffix = by === undefined ? '' : `, {{${by}}}`;
  return {
    [`half below${suffix}`]: quantile(0.5, name, WINDOW, labels, OF_SOURCES),
    [`95 of 100 below${suffix}`]: quantile(0.95, name, WINDOW, labels, OF_SOURCES),
    [`99 of 100 below${suffix}`]: quantile(0.99, name, WINDOW, labels, OF_SOURCES),
  };
}
