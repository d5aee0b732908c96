import { check } from 'k6';
import exec from 'k6/execution';
import type { Config } from './config.ts';
import { Harness } from './harness.ts';
import * as metrics from './metrics.ts';
import { phaseAt, share, writeSeconds, type ReaderGroup } from './plan.ts';
import type { ScenarioName } from './profile.ts';
import type { Finals } from './reports.ts';
import { TABLE } from './rows.ts';
import { Series } from './series.ts';
import type { SequencedRow } from './sequence-tracker.ts';
import { ShapeReader } from './shape-reader.ts';
import { counts, pause, Subscriber } from './subscriber.ts';

/** For readers to become up to date, and for the last rows to come after the last write. */
const PATIENCE_MS = 90_000;

type AnyConfig = Config<ScenarioName>;

/**
 * What one virtual user does in the scenarios of readers: it holds its share of a group, all at the same time, until the writer has ended
 * their channels; then compares what they were given with what Postgres has.
 */
export function readersOf(config: AnyConfig): () => Promise<void> {
  return async () => {
    const number = Number(__ENV['GROUP']);
    const group = config.plan.readers[number];
    if (group === undefined) throw new Error(`the plan has no group ${__ENV['GROUP']}`);
    const user = new ReadingUser(config, group, exec.scenario.iterationInTest);
    await user.run();
  };
}

class ReadingUser {
  readonly #config: AnyConfig;
  readonly #group: ReaderGroup;
  readonly #harness: Harness;
  readonly #series: Series;
  readonly #tags: Readonly<Record<string, string>>;
  /** By phase: making an object for each row would cost more than the measurement. */
  readonly #latencyTags: readonly Readonly<Record<string, string>>[];
  readonly #subscribers: readonly Subscriber[];
  readonly #firstIndex: number;
  #startedMs: number | undefined;

  constructor(config: AnyConfig, group: ReaderGroup, index: number) {
    this.#config = config;
    this.#group = group;
    this.#harness = new Harness(config.writerUrl);
    this.#series = new Series(group.kind, group.channels[1] === 1 && sourcesOf(config, group) === 1);
    this.#tags = { kind: group.kind, ...(group.source === undefined ? {} : { source: group.source }) };
    this.#latencyTags = config.plan.phases.map((phase) => ({ ...this.#tags, phase }));
    const shares = share(group.subscribers, config.parameters.vus);
    this.#firstIndex = shares.slice(0, index).reduce((sum, count) => sum + count, 0);
    this.#subscribers = Array.from({ length: shares[index] ?? 0 }, (_, i) => this.#open(this.#firstIndex + i));
  }

  async run(): Promise<void> {
    const { fromPhase = 0, rampSeconds } = this.#group;
    const deadlineMs = Date.now() + (rampSeconds + writeSeconds(this.#config.plan)) * 1_000 + 2 * PATIENCE_MS;
    if (fromPhase > 0) await this.#phase(fromPhase, deadlineMs);
    const upToDate: Promise<boolean>[] = [];
    const following = this.#subscribers.map(async (subscriber, i) => {
      const synced = this.#arrive(subscriber, this.#firstIndex + i);
      upToDate.push(synced);
      if (await synced) await subscriber.follow(deadlineMs);
    });
    await this.#announce(Promise.all(upToDate));
    if (this.#group.leave) {
      await this.#harness.finals(deadlineMs);
      for (const subscriber of this.#subscribers) subscriber.leave();
    }
    await Promise.all(following);
    if (!this.#group.leave) await this.#compare(await this.#harness.finals(deadlineMs));
    await this.#harness.report(this.#series.report);
    metrics.subscribers.add(0, this.#tags);
  }

  #open(index: number): Subscriber {
    const { plan, baseUrl, edgeUrl, secrets } = this.#config;
    const { source, edge = true, cutAtPhase, channels } = this.#group;
    const channel = channels[0] + (index % channels[1]);
    const throughEdge = edge && edgeUrl !== undefined;
    const phases = plan.writers[0]?.phases ?? [];
    const cutAfterMs = phases.slice(0, cutAtPhase ?? 0).reduce((sum, { seconds }) => sum + seconds * 1_000, 0);
    return new Subscriber(new ShapeReader(channel, (row) => this.#arrived(row)), {
      base: throughEdge ? edgeUrl : baseUrl,
      table: TABLE,
      where: `channel = ${channel}`,
      source,
      secret: secrets[source ?? ''],
      edge: throughEdge,
      tags: this.#tags,
      phase: () => plan.phases[this.#phaseAt(Date.now())] ?? '',
      cutAtMs: () =>
        cutAtPhase === undefined || this.#startedMs === undefined ? undefined : this.#startedMs + cutAfterMs,
    });
  }

  /** In its turn of the ramp. */
  async #arrive(subscriber: Subscriber, index: number): Promise<boolean> {
    const { rampSeconds, subscribers } = this.#group;
    await pause((index * rampSeconds * 1_000) / subscribers);
    const from = Date.now();
    const synced = await subscriber.sync(from + PATIENCE_MS);
    check(synced, { 'a reader is up to date in time': (value) => value }, { ...this.#tags });
    if (synced) metrics.initialSync.add(Date.now() - from, this.#tags);
    return synced;
  }

  /** Tells the writer that our readers are there, and learns when it began. */
  async #announce(upToDate: Promise<readonly boolean[]>): Promise<void> {
    const ready = (await upToDate).filter((synced) => synced).length;
    metrics.subscribers.add(this.#group.subscribers, this.#tags);
    if ((this.#group.fromPhase ?? 0) === 0) await this.#harness.ready(ready);
    this.#startedMs = await this.#harness.started(Date.now() + this.#group.rampSeconds * 1_000 + PATIENCE_MS);
  }

  async #phase(phase: number, deadlineMs: number): Promise<void> {
    this.#startedMs = await this.#harness.started(deadlineMs);
    const phases = this.#config.plan.writers[0]?.phases ?? [];
    const afterMs = phases.slice(0, phase).reduce((sum, { seconds }) => sum + seconds * 1_000, 0);
    await pause(this.#startedMs + afterMs - Date.now());
  }

  #phaseAt(atMs: number): number {
    return phaseAt(this.#config.plan.writers[0]?.phases ?? [], atMs - (this.#startedMs ?? atMs));
  }

  #arrived(row: SequencedRow): void {
    const now = Date.now();
    const latencyMs = now - row.writtenMs;
    metrics.liveLatency.add(latencyMs, this.#latencyTags[this.#phaseAt(row.writtenMs)] ?? this.#tags);
    this.#series.add(row, now, latencyMs);
  }

  async #compare(finals: Finals | undefined): Promise<void> {
    check(finals, { 'the writer has finished': (value) => value !== undefined }, { ...this.#tags });
    const channels = finals?.[this.#group.source ?? ''] ?? [];
    for (const { reader } of this.#subscribers) {
      const [rows = 0, sum = 0] = channels[reader.channel] ?? [];
      const before = counts(reader).gaps;
      const equal = reader.tracker.compare({ rows, check: sum });
      metrics.gaps.add(reader.tracker.gaps - before, this.#tags);
      check(equal, { 'a reader has what Postgres has': (value) => value }, { ...this.#tags });
    }
  }
}

/** Groups of several sources share a kind, but no shape. */
function sourcesOf({ plan }: AnyConfig, { kind }: ReaderGroup): number {
  return plan.readers.filter((group) => group.kind === kind).length;
}
