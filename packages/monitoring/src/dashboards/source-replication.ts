import { gauge, maxBy, rate, sumBy } from '../promql/select.ts';
import { OF_SOURCES, WINDOW, type Row } from './dashboard.ts';
import { lines, stepsOf } from './panel.ts';
import { spread } from './spread.ts';

/** From Postgres into the tx stream. */
export const REPLICATION_ROWS: readonly Row[] = [
  {
    title: 'Postgres and replication',
    panels: [
      lines('Transactions and changes', 'Received from Postgres.', 'ops', {
        transactions: sumBy([], rate('electric.postgres.replication.transaction_received.count', WINDOW, OF_SOURCES)),
        changes: sumBy([], rate('shapecast.replicator.changes.count', WINDOW, OF_SOURCES)),
      }),
      lines('Bytes', 'Received from Postgres, and encoded in the tx stream.', 'Bps', {
        received: sumBy([], rate('electric.postgres.replication.transaction_received.bytes', WINDOW, OF_SOURCES)),
        published: sumBy([], rate('shapecast.replicator.published.bytes', WINDOW, OF_SOURCES)),
        'written by Postgres': `max(deriv(${gauge('electric.postgres.replication.pg_wal_offset', OF_SOURCES)}[5m]))`,
      }),
      lines(
        'Changes of a transaction',
        'How large transactions are.',
        'none',
        spread('electric.postgres.replication.transaction_received.operations'),
      ),
      lines(
        'WAL',
        'Kept for the slot, not confirmed yet, and what may still be written before Postgres gives the slot up.',
        'bytes',
        {
          kept: maxBy([], gauge('electric.postgres.replication.slot_retained_wal_size', OF_SOURCES)),
          unconfirmed: maxBy([], gauge('electric.postgres.replication.slot_confirmed_flush_lsn_lag', OF_SOURCES)),
          safe: maxBy([], gauge('shapecast.slot.safe_wal_size', OF_SOURCES)),
          'at most': maxBy([], gauge('shapecast.slot.max_keep_size', OF_SOURCES)),
        },
      ),
      lines(
        'State of the WAL',
        '0 reserved, 1 extended, 2 unreserved, 3 lost; and whether an open transaction keeps the slot from being created.',
        'none',
        {
          state: maxBy([], gauge('shapecast.slot.wal_status', OF_SOURCES)),
          'creation blocked': maxBy([], gauge('shapecast.slot.creation_blocked', OF_SOURCES)),
        },
      ),
      lines(
        'Reading stood still',
        'Share of the time, by what could take no more.',
        'percentunit',
        {
          '{{cause}}': `${sumBy(['cause'], rate('shapecast.replicator.paused.duration', WINDOW, OF_SOURCES))} / 1000`,
        },
        { steps: stepsOf('paused') },
      ),
      lines('Publishing', 'Bytes published and not yet acknowledged.', 'bytes', {
        unacknowledged: sumBy([], gauge('shapecast.replicator.publish.inflight_bytes', OF_SOURCES)),
      }),
      lines(
        'Not as usual',
        'Publishes that were repeated, operations that Postgres sent again, changes that could not be used, connections made again, leaders fenced off.',
        'cps',
        {
          'repeated: {{reason}}': sumBy(
            ['reason'],
            rate('shapecast.replicator.publish.retries.count', WINDOW, OF_SOURCES),
          ),
          'sent again': sumBy([], rate('shapecast.replicator.resent_dropped.count', WINDOW, OF_SOURCES)),
          'too large': sumBy([], rate('shapecast.replicator.oversize_rows.count', WINDOW, OF_SOURCES)),
          'unusable: {{reason}}': sumBy(
            ['reason'],
            rate('shapecast.replicator.unusable_changes.count', WINDOW, OF_SOURCES),
          ),
          'reconnects: {{server}}': sumBy(
            ['server'],
            rate('shapecast.replicator.reconnects.count', WINDOW, OF_SOURCES),
          ),
          'fenced off': sumBy([], rate('shapecast.replicator.fenced.count', WINDOW, OF_SOURCES)),
        },
      ),
      lines('Publication', 'Changes of it, and those that Postgres refused.', 'cps', {
        '{{action}}': sumBy(['action'], rate('shapecast.publication.actions.count', WINDOW, OF_SOURCES)),
        'refused: {{action}}': sumBy(['action'], rate('shapecast.publication.errors.count', WINDOW, OF_SOURCES)),
      }),
    ],
  },
  {
    title: 'Tx stream',
    panels: [
      lines('Bytes', 'In the stream, and what it may hold.', 'bytes', {
        held: maxBy([], gauge('shapecast.stream.bytes', OF_SOURCES)),
        'at most': maxBy([], gauge('shapecast.stream.max_bytes', OF_SOURCES)),
      }),
      lines('Age', 'Of the oldest message, and the age at which messages go.', 's', {
        oldest: maxBy([], gauge('shapecast.stream.oldest_age', OF_SOURCES)),
        'at most': maxBy([], gauge('shapecast.stream.max_age', OF_SOURCES)),
      }),
      lines('Messages', 'In the stream.', 'short', {
        messages: maxBy([], gauge('shapecast.stream.messages', OF_SOURCES)),
      }),
      lines(
        'Not yet durable',
        'WAL between what was published last and what all shards have stored for certain.',
        'bytes',
        { WAL: maxBy([], gauge('shapecast.stream.durable_lsn_lag', OF_SOURCES)) },
        { width: 12 },
      ),
      lines(
        'Not yet durable, age',
        'Oldest transaction that is applied and not known to survive a crash of Redis.',
        's',
        { age: maxBy([], gauge('shapecast.router.durable_cursor_lag', OF_SOURCES)) },
        { steps: stepsOf('durableLag'), width: 12 },
      ),
    ],
  },
];
