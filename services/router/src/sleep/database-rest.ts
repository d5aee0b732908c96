import type { SourceDatabase } from '@shapecast/change-source';
import { ShapecastError } from '@shapecast/errors';
import type { SourceSleep } from '@shapecast/messaging';
import type { Clock } from '@shapecast/service-kit';

interface DatabaseRestDeps {
  readonly database: SourceDatabase;
  readonly sleep: SourceSleep;
  readonly clock: Clock;
}

const CHECK_MS = 1_000;

/**
 * Leaves the database alone while the source sleeps (spec R 3.7.1). What only looks now and then whether something has changed
 * waits until it is awake: nothing is streamed meanwhile either. The catalog is not asked; who needs it wakes the source first.
 * Snapshots and subsets, which somebody waits for, go through and wake it.
 */
export class DatabaseRest {
  /** The database, with that. */
  readonly database: SourceDatabase;
  readonly #deps: DatabaseRestDeps;

  constructor(deps: DatabaseRestDeps) {
    this.#deps = deps;
    const { database, sleep } = deps;
    const publication = delegate(database.publication, {
      sight: async (oids, signal) => {
        await sleep.untilAwake(signal);
        return database.publication.sight(oids, signal);
      },
    });
    this.database = delegate(database, {
      publication,
      introspect: (schema, table, signal) => {
        const look = () => database.introspect(schema, table, signal);
        // Perhaps it was woken a moment ago, for this very question.
        return sleep.asleep ? sleep.check().then((asleep) => (asleep ? refuse() : look()), refuse) : look();
      },
      readTables: async (request, onSights, signal) => {
        await sleep.untilAwake(signal);
        return database.readTables(request, onSights, signal);
      },
      progress: async (signal) => {
        await sleep.untilAwake(signal);
        return database.progress(signal);
      },
    });
  }

  /** Until `signal` aborts. `busy`: somebody waits for what is read from the database. */
  async run(busy: () => boolean, signal: AbortSignal): Promise<void> {
    const { database, sleep, clock } = this.#deps;
    const look = () => {
      if (!sleep.asleep) return;
      if (busy()) void sleep.wake('a router reads from the database');
      else database.rest();
    };
    const stop = sleep.onChange(look);
    while (!signal.aborted) {
      look();
      await clock.sleep(CHECK_MS, signal).catch(() => undefined);
    }
    stop();
  }
}

function refuse(): never {
  throw new ShapecastError('NOT_READY', 'The source sleeps: its catalog is not read.');
}

/** `target` with some of its members replaced. */
function delegate<T extends object>(target: T, own: Partial<T>): T {
  return new Proxy(target, {
    get(_, name) {
      if (Object.hasOwn(own, name)) return Reflect.get(own, name) as unknown;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}
