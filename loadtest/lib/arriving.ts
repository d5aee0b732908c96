import { check } from 'k6';
import exec from 'k6/execution';
import type { Trend } from 'k6/metrics';
import type { Config } from './config.ts';
import * as metrics from './metrics.ts';
import { phaseAt } from './plan.ts';
import type { ScenarioName } from './profile.ts';
import { TABLE } from './rows.ts';
import type { Totals } from './sequence-tracker.ts';
import { ShapeReader, type Place } from './shape-reader.ts';
import { Subscriber } from './subscriber.ts';

/** A client that comes, reads one shape until up to date, and goes. */
export interface Arrival {
  readonly channel: number;
  /** Only rows whose sequence is above; no row is at 0 or below, so that shapes with the same rows can be told apart by it. */
  readonly floor?: number;
  /** Goes on from here instead of reading everything. */
  readonly place?: Place;
  /** What it must have in the end. */
  readonly expected: Totals | { readonly rows: number };
  readonly duration: Trend;
}

/** Reads as one client that has just come. `arrival` is made for the how-manieth it is. */
export async function arrive(config: Config<ScenarioName>, arrival: (index: number) => Arrival): Promise<void> {
  const { channel, floor, place, expected, duration } = arrival(exec.scenario.iterationInTest);
  const { plan, baseUrl, edgeUrl, secrets } = config;
  const stages = plan.arrivals?.stages ?? [];
  const phase = stages[phaseAt(stages, Date.now() - exec.scenario.startTime)]?.name ?? '';
  const tags = { kind: 'arrival', phase };
  const reader = place === undefined ? new ShapeReader(channel) : ShapeReader.at(channel, place);
  const client = new Subscriber(reader, {
    base: edgeUrl ?? baseUrl,
    table: TABLE,
    where: floor === undefined ? `channel = ${channel}` : `channel = ${channel} and seq > ${floor}`,
    source: undefined,
    secret: secrets[''],
    edge: edgeUrl !== undefined,
    tags,
    phase: () => phase,
  });
  const from = Date.now();
  const outcome = await client.attempt();
  if (outcome === 'refused') return;
  if (outcome === 'ok') duration.add(Date.now() - from, tags);
  const { rows, check: sum } = reader.tracker.totals;
  if (outcome === 'ok' && expected.rows > rows) metrics.gaps.add(expected.rows - rows, tags);
  const equal = outcome === 'ok' && rows === expected.rows && (!('check' in expected) || sum === expected.check);
  check(equal, { 'a client has what Postgres has': (value) => value }, tags);
}
