export { startCollector, type Collector, type ReceivedMetric, type ReceivedSpan } from './collector.ts';
export { readExposition, type ExposedMetric, type ExposedSeries } from './exposition.ts';
