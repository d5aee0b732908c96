import { gauge, gaugeOver, happened, maxBy, minBy } from '../promql/select.ts';
import { BY_PROCESS, OF_PROCESS, type AlertGroup } from './alert.ts';
import { threshold } from './thresholds.ts';

/** Processes, whatever they do. */
export const PROCESS_ALERTS: AlertGroup = {
  name: 'shapecast-process',
  alerts: [
    {
      name: 'ShapecastNotReady',
      summary: `${OF_PROCESS} is not ready`,
      description: 'The process runs and cannot do its whole job. Its health report says what is missing.',
      stages: [{ severity: 'warning', for: '5m', expr: `${minBy(BY_PROCESS, gauge('shapecast.ready'))} == 0` }],
    },
    {
      name: 'ShapecastPodRestarting',
      summary: `${OF_PROCESS} has restarted {{ $value }} times in half an hour`,
      description: 'What it was doing is done by others meanwhile; again and again that costs them.',
      stages: [
        {
          severity: 'warning',
          for: '0m',
          expr: `${maxBy(BY_PROCESS, `changes(${gaugeOver('process.start_timestamp', '30m')})`)} > ${threshold('restarts', 'warning')}`,
        },
      ],
    },
    {
      name: 'ShapecastEventLoopLag',
      summary: `The event loop of ${OF_PROCESS} is {{ $value | humanizeDuration }} late`,
      description:
        'The process does too much at a time, or gets too little processor. All that it serves is late by as much.',
      stages: [
        {
          severity: 'warning',
          for: '5m',
          expr: `${maxBy(BY_PROCESS, gauge('nodejs.eventloop.delay.p99'))} > ${threshold('eventLoopDelay', 'warning')}`,
        },
      ],
    },
    {
      name: 'ShapecastConfigReloadFailed',
      summary: `${OF_PROCESS} did not take the file of sources`,
      description:
        'The last good version stays in force, so what was changed since has no effect. Log and health report name source and field.',
      stages: [
        {
          severity: 'warning',
          for: '5m',
          expr: `${minBy(BY_PROCESS, gauge('shapecast.config.last_reload.successful'))} == 0`,
        },
      ],
    },
    {
      name: 'ShapecastClockSkew',
      summary: `The clock of ${OF_PROCESS} is {{ $value | humanizeDuration }} off`,
      description:
        'Nothing correct depends on clocks; the delivery latency that is measured does, and the times in logs.',
      stages: [
        {
          severity: 'warning',
          for: '10m',
          expr: `${maxBy(BY_PROCESS, `abs(timestamp(${gauge('process.clock')}) - ${gauge('process.clock')})`)} > ${threshold('clockSkew', 'warning')}`,
        },
      ],
    },
    {
      name: 'ShapecastTelemetryDropped',
      summary: `${OF_PROCESS} gives up measurements or spans ({{ $labels.reason }})`,
      description:
        'The collector is too slow or away. Nothing waits for it; what is dropped is missing in traces and pushed metrics.',
      stages: [
        {
          severity: 'warning',
          for: '15m',
          expr: `${happened('shapecast.telemetry.dropped.count', '10m', [...BY_PROCESS, 'reason'])}`,
        },
      ],
    },
  ],
};
