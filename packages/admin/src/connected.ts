import { UsageBoard, type Messaging } from '@shapecast/messaging';
import type { Clock, Logger } from '@shapecast/service-kit';
import type { ShapeStore } from '@shapecast/shape-store';
import { EventLog } from './events/event-log.ts';
import { RecordsView } from './records/records-view.ts';
import { ClauseReader } from './shapes/clause-reader.ts';
import { ShapeAdmin } from './shapes/shape-admin.ts';
import { Tables } from './shapes/tables.ts';
import { AdminSources, type SourcesMode } from './sources/admin-sources.ts';
import { Shards } from './sources/shards.ts';
import { SourceActions } from './sources/source-actions.ts';
import { SourcesView } from './sources/sources-view.ts';

/** Everything that needs NATS. */
export interface Connected {
  readonly messaging: Messaging;
  readonly board: UsageBoard;
  readonly events: EventLog;
  readonly sources: AdminSources;
  readonly view: SourcesView;
  readonly clauses: ClauseReader;
  readonly tables: Tables;
  readonly actions: SourceActions;
  readonly shards: Shards;
  /** Absent where there is no Redis to look into. */
  readonly shapes: ShapeAdmin | undefined;
  stop(): Promise<void>;
}

interface ConnectDeps {
  readonly messaging: Messaging;
  readonly mode: SourcesMode;
  readonly store: ShapeStore | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

export async function connectAdmin({ messaging, mode, store, clock, log }: ConnectDeps): Promise<Connected> {
  const { registries, hints } = messaging;
  const records = new RecordsView({ registries, clock });
  const board = new UsageBoard({ hints, clock, log });
  const events = new EventLog(log);
  const sources = new AdminSources({ registries, view: records, clock, log }, mode);
  const view = new SourcesView({ messaging, view: records, sources, board, store });
  const unfollow = events.follow(hints);
  const shapes = store && new ShapeAdmin({ messaging, store, board, view, clock, log });
  await board.start();
  return {
    ...{ messaging, board, events, sources, view },
    clauses: new ClauseReader(),
    tables: new Tables(messaging),
    shapes,
    actions: new SourceActions({ messaging, view }),
    shards: new Shards({ messaging, view, shapes, clock, log }),
    async stop() {
      unfollow();
      records.stop();
      await shapes?.stop();
      await board.stop();
    },
  };
}
