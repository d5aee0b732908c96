import type { Registries, Registry } from '@shapecast/messaging';
import { Complaints, type Clock, type Logger } from '@shapecast/service-kit';
import type { OtherProcess } from './turns.ts';

/** Registry bucket with expiry: key is the id of a replicator process. */
const ROSTER = { name: 'shapecast_replicator_processes', ttlMs: 10_000 } as const;

interface ProcessRecord {
  readonly v: 1;
  readonly running: readonly string[];
  readonly leaving?: true;
  /** Version of the sources file that it has. */
  readonly file?: string;
}

interface RosterDeps {
  readonly registries: Registries;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A crash is taken over within 5 s (spec F90): what it takes to notice is half of that. */
const BEAT_MS = 500;
/** One that says nothing new in so many looks is gone. */
const SILENT_LOOKS = 5;
/** One that has been seen in so many is there to stay. */
const SETTLED_LOOKS = 10;
/** Processes that start together see one another in the second look at the latest. */
const FIRST_LOOKS = 2;

interface Sight {
  record: ProcessRecord;
  revision: number;
  silentLooks: number;
  looks: number;
}

/**
 * The replicator processes of an installation: says that this one lives, and who else does. Counts looks and not time, so that a
 * process that was stopped for a while does not take all others for dead. Decides who tries, and nothing else: the lock of each
 * source decides who replicates it.
 */
export class Roster {
  readonly #deps: RosterDeps;
  readonly #own: string;
  readonly #complaints: Complaints;
  readonly #seen = new Map<string, Sight>();
  #registry: Registry<ProcessRecord> | undefined;
  #looks = 0;
  #leaving = false;

  constructor(deps: RosterDeps, own: string) {
    this.#deps = deps;
    this.#own = own;
    this.#complaints = new Complaints(deps.clock);
  }

  /** The others that live. Undefined before the first looks. */
  get others(): readonly OtherProcess[] | undefined {
    if (this.#looks < FIRST_LOOKS) return undefined;
    return [...this.#seen].flatMap(([id, { record, silentLooks, looks }]) =>
      silentLooks > SILENT_LOOKS
        ? []
        : [{ id, running: record.running, leaving: record.leaving === true, settled: looks >= SETTLED_LOOKS }],
    );
  }

  /** This process has said that it leaves: it begins nothing any more. */
  get leaving(): boolean {
    return this.#leaving;
  }

  /** Versions of the sources file that the others have. */
  get files(): readonly string[] {
    const alive = [...this.#seen.values()].filter(({ silentLooks }) => silentLooks <= SILENT_LOOKS);
    return alive.flatMap(({ record: { file } }) => (file === undefined ? [] : [file]));
  }

  /** Tells and looks until `signal` aborts, calling back after every look that succeeded. Never rejects. */
  async run(read: () => Omit<ProcessRecord, 'v'>, onLook: () => void, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps;
    while (!signal.aborted) {
      try {
        await this.#look(read());
        this.#complaints.worked();
        onLook();
      } catch (err) {
        // Nobody knows better while NATS is away, so everything stays where it is.
        if (!signal.aborted && this.#complaints.failed('roster')) log.warn({ err }, 'other replicators cannot be seen');
      }
      await clock.sleep(BEAT_MS, signal).catch(() => undefined);
    }
  }

  /** Says, from now on, that this process is ending and leaves everything to the others. */
  async leave(running: readonly string[]): Promise<void> {
    this.#leaving = true;
    await this.#registry?.put(this.#own, { v: 1, running, leaving: true });
  }

  async remove(): Promise<void> {
    await this.#registry?.delete(this.#own);
  }

  async #look(record: Omit<ProcessRecord, 'v'>): Promise<void> {
    this.#registry ??= await this.#deps.registries.open<ProcessRecord>(ROSTER.name, { ttlMs: ROSTER.ttlMs });
    await this.#registry.put(this.#own, { v: 1, ...record, ...(this.#leaving ? { leaving: true } : {}) });
    const entries = (await this.#registry.list('')).filter(({ key }) => key !== this.#own);
    for (const id of this.#seen.keys()) if (!entries.some(({ key }) => key === id)) this.#seen.delete(id);
    for (const { key, value, revision } of entries) this.#see(key, value, revision);
    this.#looks += 1;
  }

  #see(id: string, record: ProcessRecord, revision: number): void {
    const sight = this.#seen.get(id);
    if (sight === undefined) return void this.#seen.set(id, { record, revision, silentLooks: 0, looks: 1 });
    const silent = sight.revision === revision;
    // One that comes back has to settle again.
    const back = !silent && sight.silentLooks > SILENT_LOOKS;
    sight.silentLooks = silent ? sight.silentLooks + 1 : 0;
    sight.looks = back ? 1 : sight.looks + 1;
    sight.record = record;
    sight.revision = revision;
  }
}
