import { gauge, gaugeOver, groupBy, increase, maxBy, mean, sumBy } from '../promql/select.ts';
import { recordedWal } from '../recording.ts';
import { BY_SOURCE, OF_SOURCE, type AlertGroup } from './alert.ts';
import { threshold } from './thresholds.ts';

const known = `(${groupBy(BY_SOURCE, `${gauge('shapecast.router.shards')} > 0`)} or ${groupBy(BY_SOURCE, gauge('shapecast.replicator.leader'))})`;
const led = `${sumBy(BY_SOURCE, gauge('shapecast.replicator.leader'))} > 0`;
const asleep = `${maxBy(BY_SOURCE, gauge('shapecast.replicator.asleep'))} > 0`;
const unconfirmed = 'electric.postgres.replication.slot_confirmed_flush_lsn_lag';
const incarnation = gauge('shapecast.source.incarnation');

/** Reading from Postgres, and what it keeps for us. */
export const SOURCE_ALERTS: AlertGroup = {
  name: 'shapecast-source',
  alerts: [
    {
      name: 'ShapecastNoLeader',
      summary: `Nobody replicates ${OF_SOURCE}`,
      description:
        'No replicator leads the source, and it does not sleep. Clients get no news, new shapes are answered 503, and Postgres keeps WAL for the slot.',
      stages: [
        {
          severity: 'critical',
          for: '1m',
          expr: `${known} unless on (namespace, source) ${led} unless on (namespace, source) ${asleep}`,
        },
      ],
    },
    {
      name: 'ShapecastMultipleLeaders',
      summary: `{{ $value }} replicators say that they lead ${OF_SOURCE}`,
      description:
        'Only one of them can write: the tx stream takes records of the newest epoch alone. The other one does not know yet, or cannot tell.',
      stages: [
        {
          severity: 'critical',
          for: '30s',
          expr: `${sumBy(BY_SOURCE, gauge('shapecast.replicator.leader', { source: '!=other' }))} > 1`,
        },
      ],
    },
    {
      name: 'ShapecastSourceProblem',
      summary: `${OF_SOURCE} cannot be replicated: {{ $labels.reason }}`,
      description:
        'The replicator cannot do its work for a reason that mostly somebody has to remove. Shapes that exist are served, as of the last change that was read.',
      stages: [
        {
          severity: 'high',
          for: '5m',
          expr: `${maxBy([...BY_SOURCE, 'reason'], gauge('shapecast.source.problem'))} > 0`,
        },
      ],
    },
    {
      name: 'ShapecastReplicationLagHigh',
      summary: `Transactions of ${OF_SOURCE} are read {{ $value | humanizeDuration }} after their commit`,
      description:
        'The replicator is behind Postgres: it reads more slowly than the database writes, or has to wait. Clients see changes late.',
      stages: (['warning', 'critical'] as const).map((severity) => ({
        severity,
        for: '5m',
        expr: `${mean('electric.postgres.replication.transaction_received.receive_lag', '5m', BY_SOURCE)} / 1000 > ${threshold('replicationLag', severity)}`,
      })),
    },
    {
      name: 'ShapecastWalRetentionHigh',
      summary: `Postgres keeps much WAL for ${OF_SOURCE}: {{ $value | humanizePercentage }} of the limit`,
      description:
        'WAL that the slot has not confirmed, or that an open transaction holds. At the limit Postgres gives the slot up and every shape starts over; without a limit its disk fills up.',
      stages: (['warning', 'high', 'critical'] as const).map((severity) => ({
        severity,
        for: '2m',
        expr: `${recordedWal()} > ${threshold('walRetained', severity)}`,
      })),
    },
    {
      name: 'ShapecastSlotLostOrInactive',
      summary: `Postgres is about to give up the replication slot of ${OF_SOURCE}, or has done so`,
      description:
        'The WAL of the slot is not reserved any more, or little may be written until it is given up. Every shape starts over then.',
      stages: [
        {
          severity: 'critical',
          for: '2m',
          expr: `${maxBy(BY_SOURCE, gauge('shapecast.slot.wal_status'))} > ${threshold('walStatus', 'critical')} or ${maxBy(BY_SOURCE, gauge('shapecast.slot.safe_wal_size'))} / ${maxBy(BY_SOURCE, gauge('shapecast.slot.max_keep_size'))} < ${threshold('walSafe', 'critical')}`,
        },
      ],
    },
    {
      name: 'ShapecastConfirmationStuck',
      summary: `Unconfirmed WAL of ${OF_SOURCE} only grows: {{ $value | humanize1024 }}B`,
      description:
        'Postgres writes, and what has been stored is not confirmed to it. The WAL that it keeps will grow until the slot is given up.',
      stages: [
        {
          severity: 'high',
          for: '5m',
          expr: `${maxBy(BY_SOURCE, gauge(unconfirmed))} > ${threshold('confirmationBytes', 'high')} and ${maxBy(BY_SOURCE, `min_over_time(${gaugeOver(unconfirmed, '5m')})`)} > ${maxBy(BY_SOURCE, `max_over_time(${gaugeOver(unconfirmed, '5m')} offset 6m)`)} and ${maxBy(BY_SOURCE, `delta(${gaugeOver('electric.postgres.replication.pg_wal_offset', '5m')})`)} > 0`,
        },
      ],
    },
    {
      name: 'ShapecastSlotCreationBlocked',
      summary: `The replication slot of ${OF_SOURCE} cannot be created`,
      description:
        'A transaction that was open before keeps Postgres from making the slot. The source does not start until it has ended.',
      stages: [
        { severity: 'high', for: '5m', expr: `${maxBy(BY_SOURCE, gauge('shapecast.slot.creation_blocked'))} > 0` },
      ],
    },
    {
      name: 'ShapecastPublicationErrors',
      summary: `Postgres refuses to publish tables of ${OF_SOURCE} ({{ $labels.action }})`,
      description:
        'A table could not be added to the publication, taken out of it, or given a full replica identity. New shapes of that table are answered 503.',
      stages: [
        {
          severity: 'warning',
          for: '0m',
          expr: `${sumBy([...BY_SOURCE, 'action'], increase('shapecast.publication.errors.count', '10m'))} > ${threshold('publicationErrors', 'warning')}`,
        },
      ],
    },
    {
      name: 'ShapecastIncarnationChanged',
      summary: `Every shape of ${OF_SOURCE} started over`,
      description:
        'It could not be proven that the stored history and the database still tell the same story, so a new incarnation began. Clients load their shapes anew.',
      stages: [
        {
          severity: 'high',
          for: '0m',
          expr: `${maxBy(BY_SOURCE, incarnation)} - ${maxBy(BY_SOURCE, `${incarnation} offset 10m`)} > 0`,
        },
      ],
    },
  ],
};
