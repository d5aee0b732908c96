import { Counter, Gauge, Rate, Trend } from 'k6/metrics';

/** From the clock that the writer put into the row, just before it was sent, until a reader had it. Tags: kind, phase. */
export const liveLatency = new Trend('shape_live_latency', true);
/** From the first request of a shape until up to date. */
export const initialSync = new Trend('shape_initial_sync', true);
/** From a known place of a shape until up to date. */
export const catchUp = new Trend('shape_catch_up', true);
/** How long a live request waited for its answer. */
export const pollWait = new Trend('shape_poll_wait', true);
/** How long a refused request waited for its refusal. */
export const refusalTime = new Trend('shape_refusal_time', true);
export const changes = new Counter('shape_changes');
export const mustRefetch = new Counter('shape_must_refetch');
/** Rows that are missing. */
export const gaps = new Counter('shape_gaps');
/** Rows that came twice. */
export const duplicates = new Counter('shape_duplicates');
/** Answers whose offset lies before the one of the request. */
export const outOfOrder = new Counter('shape_out_of_order');
/** Rows of another channel or source than was asked for. */
export const foreign = new Counter('shape_foreign_rows');
/** 503 and 429: the service has no room. */
export const refused = new Counter('shape_refused');
export const refusedWithoutRetryAfter = new Counter('shape_refused_without_retry_after');
/** Requests that a reader broke off on purpose. */
export const cut = new Counter('shape_cut');
export const pollEmpty = new Rate('shape_poll_empty');
/** Answers of the edge that it had to ask for, of all that it gave. */
export const edgeMiss = new Rate('shape_edge_miss');
export const subscribers = new Gauge('subscribers');
export const bytesReceived = new Counter('bytes_received');
