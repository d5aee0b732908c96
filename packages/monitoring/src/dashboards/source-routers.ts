import { gauge, maxBy, quantile, rate, sumBy } from '../promql/select.ts';
import { OF_SOURCES, WINDOW, type Row } from './dashboard.ts';
import { lines, stepsOf } from './panel.ts';
import { spread } from './spread.ts';

/** From the tx stream into shapes, and how they begin. */
export const ROUTER_ROWS: readonly Row[] = [
  {
    title: 'Routers',
    panels: [
      lines(
        'Behind the stream',
        'Age of the oldest transaction that a shard has not applied.',
        's',
        { 'furthest shard': maxBy([], gauge('shapecast.router.lag.seconds', OF_SOURCES)) },
        { steps: stepsOf('routerLagSeconds') },
      ),
      lines(
        'Behind the stream, bytes',
        'WAL between the end of the stream and the shard that is furthest behind.',
        'bytes',
        { 'furthest shard': maxBy([], gauge('shapecast.router.lag.bytes', OF_SOURCES)) },
      ),
      lines('Shards', 'Owned, on their way to the end of the stream, without router.', 'none', {
        owned: sumBy([], gauge('shapecast.router.shards', OF_SOURCES)),
        'catching up': sumBy([], gauge('shapecast.router.catching_up', OF_SOURCES)),
        'without router': maxBy([], gauge('shapecast.router.unowned_shards', OF_SOURCES)),
      }),
      lines('Applied', 'Transactions by shards, and entries written to shape logs.', 'ops', {
        transactions: sumBy([], rate('electric.storage.transaction_stored.count', WINDOW, OF_SOURCES)),
        entries: sumBy([], rate('electric.storage.transaction_stored.operations', WINDOW, OF_SOURCES)),
      }),
      lines('Written to logs', 'Bytes of entries.', 'Bps', {
        bytes: sumBy([], rate('electric.storage.transaction_stored.bytes', WINDOW, OF_SOURCES)),
      }),
      lines(
        'Shapes per step',
        'Shapes that one step of a shard wrote to.',
        'none',
        spread('electric.shape_log_collector.transaction.affected_shape_count'),
      ),
      lines(
        'Clauses evaluated',
        'By whether an index led there (indexed) or not (scanned). Scanned ones cost at every change of their table.',
        'ops',
        { '{{mode}}': sumBy(['mode'], rate('shapecast.router.evaluations.count', WINDOW, OF_SOURCES)) },
      ),
      lines('Match and apply', 'One step of a shard, all sources of a router together; 99 of 100 below.', 'ms', {
        match: quantile(0.99, 'shapecast.router.match.duration', WINDOW, [], { namespace: '=~$namespace' }),
        apply: quantile(0.99, 'shapecast.router.apply.duration', WINDOW, [], { namespace: '=~$namespace' }),
      }),
      lines(
        'Held in routers',
        'Transactions to be applied, and changes kept for snapshots that are not finished.',
        'bytes',
        {
          transactions: sumBy([], gauge('shapecast.log.memory', OF_SOURCES)),
          'for snapshots': sumBy([], gauge('shapecast.pending_log.bytes', OF_SOURCES)),
        },
      ),
      lines(
        'What should not be',
        'Gaps, shards found behind or empty in the store, stalls, records that were left out.',
        'cps',
        {
          gaps: sumBy([], rate('shapecast.router.gap.count', WINDOW, OF_SOURCES)),
          behind: sumBy([], rate('shapecast.store.regressions.count', WINDOW, OF_SOURCES)),
          empty: sumBy([], rate('shapecast.store.lost.count', WINDOW, OF_SOURCES)),
          stalls: sumBy([], rate('electric.flush_tracker.stall_detected.count', WINDOW, OF_SOURCES)),
          'left out': sumBy([], rate('shapecast.router.skipped_records.count', WINDOW, OF_SOURCES)),
          'shards lost: {{reason}}': sumBy(
            ['reason'],
            rate('electric.flush_tracker.writer_down.count', WINDOW, OF_SOURCES),
          ),
        },
      ),
      lines('Loading a shard', 'How long the latest load of its shapes took.', 'ms', {
        duration: maxBy([], gauge('electric.connection.consumers_ready.duration', OF_SOURCES)),
      }),
      lines('Loaded shapes', 'Shapes of the shard that was loaded last.', 'none', {
        shapes: maxBy([], gauge('electric.connection.consumers_ready.total', OF_SOURCES)),
      }),
    ],
  },
  {
    title: 'Shapes',
    panels: [
      lines(
        'Shapes',
        'All, those that an index finds, and those whose clause is evaluated at every change of their table.',
        'none',
        {
          all: sumBy([], gauge('electric.shapes.total_shapes.count', OF_SOURCES)),
          indexed: sumBy([], gauge('electric.shapes.total_shapes.count_indexed', OF_SOURCES)),
          'not indexed': sumBy([], gauge('electric.shapes.total_shapes.count_unindexed', OF_SOURCES)),
        },
      ),
      lines('Begun and ended', 'Created; ended by plan (removed) and otherwise (rotated), by reason.', 'cps', {
        created: sumBy([], rate('shapecast.shapes.created.count', WINDOW, OF_SOURCES)),
        'rotated: {{reason}}': sumBy(['reason'], rate('shapecast.shapes.rotated.count', WINDOW, OF_SOURCES)),
        'removed: {{reason}}': sumBy(['reason'], rate('shapecast.shapes.removed.count', WINDOW, OF_SOURCES)),
      }),
      lines('Storage', 'Shape logs and snapshots in the store.', 'bytes', {
        used: sumBy([], gauge('electric.storage.used.bytes', OF_SOURCES)),
      }),
    ],
  },
  {
    title: 'Snapshots and subsets',
    panels: [
      lines('Snapshots', 'That run, and that wait for their turn.', 'none', {
        running: sumBy([], gauge('shapecast.snapshot.active', OF_SOURCES)),
        waiting: sumBy([], gauge('shapecast.snapshot.queue.length', OF_SOURCES)),
      }),
      lines(
        'How long',
        'From the start until all of it is in the store, or it failed.',
        'ms',
        spread('electric.shape_snapshot.create_snapshot_task.stop.duration'),
      ),
      lines(
        'Reading and storing',
        'Without what comes before.',
        'ms',
        spread('electric.storage.make_new_snapshot.stop.duration'),
      ),
      lines(
        'Outcome',
        'Stored, failed, and taken again because what they saw could not be placed in the tx stream.',
        'cps',
        {
          stored: sumBy([], rate('electric.storage.snapshot_stored.count', WINDOW, OF_SOURCES)),
          failed: sumBy([], rate('shapecast.snapshot.failures.count', WINDOW, OF_SOURCES)),
          'taken again': sumBy([], rate('shapecast.snapshot.safety_retries.count', WINDOW, OF_SOURCES)),
        },
      ),
      lines('Rows', 'Of snapshots, and of answers to subset queries.', 'ops', {
        snapshots: sumBy([], rate('electric.storage.snapshot_stored.operations', WINDOW, OF_SOURCES)),
        subsets: sumBy([], rate('electric.subqueries.subset_result.rows', WINDOW, OF_SOURCES)),
      }),
      lines('Bytes', 'Of snapshots, and of answers to subset queries.', 'Bps', {
        snapshots: sumBy([], rate('electric.storage.snapshot_stored.bytes', WINDOW, OF_SOURCES)),
        subsets: sumBy([], rate('electric.subqueries.subset_result.bytes', WINDOW, OF_SOURCES)),
      }),
      lines(
        'Subset queries',
        'Answered.',
        'ops',
        { answered: sumBy([], rate('electric.subqueries.subset_result.count', WINDOW, OF_SOURCES)) },
        { width: 12 },
      ),
      lines(
        'Waiting for the publication',
        'How long snapshots waited until their table was published.',
        'ms',
        spread('shapecast.snapshot.publication_gap_wait'),
        { width: 12 },
      ),
    ],
  },
];
