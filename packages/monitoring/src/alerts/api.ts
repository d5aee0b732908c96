import { gauge, maxBy, rate, sumBy } from '../promql/select.ts';
import { BY_PROCESS, BY_SOURCE, OF_PROCESS, OF_SOURCE, type AlertGroup } from './alert.ts';
import { burnRateStages } from './burn-rate.ts';
import { threshold } from './thresholds.ts';

const rejected = (kind: 'initial' | 'existing') =>
  sumBy(BY_SOURCE, rate('electric.admission_control.reject.count', '5m', { kind: `=${kind}` }));
const requests = 'electric.plug.serve_shape.requests.count';
const inProgress = sumBy([...BY_PROCESS, 'kind'], gauge('electric.admission_control.acquire.current'));
const allowed = sumBy([...BY_PROCESS, 'kind'], gauge('electric.admission_control.acquire.limit'));

/** What clients get. */
export const API_ALERTS: AlertGroup = {
  name: 'shapecast-api',
  alerts: [
    {
      name: 'ShapecastDeliverySLOBurnRate',
      summary: `Changes of ${OF_SOURCE} reach waiting clients late ({{ $labels.objective }})`,
      description:
        'More changes than promised take longer than 500 ms (1 in 100) or 2 s (1 in 1000) from their commit to the end of the answer. Value: the share that does.',
      stages: burnRateStages([
        { objective: 'delivery_fast', budget: 'deliveryFast' },
        { objective: 'delivery_slow', budget: 'deliverySlow' },
      ]),
    },
    {
      name: 'ShapecastApiErrorBudgetBurn',
      summary: `{{ $value | humanizePercentage }} of the requests to ${OF_SOURCE} are answered 5xx`,
      description:
        'More than one in a thousand is promised not to be. Official clients try again by themselves, so people see delays rather than errors.',
      stages: burnRateStages([{ objective: 'requests', budget: 'requestErrors' }]),
    },
    {
      name: 'ShapecastApiErrors',
      summary: `{{ $value | humanizePercentage }} of the requests to ${OF_SOURCE} end in an unexpected 5xx`,
      description:
        'Answers 5xx for a reason that Shapecast has no code for, so neither too many requests at a time nor a source that is not active.',
      stages: [
        {
          severity: 'high',
          for: '5m',
          expr: `${sumBy(BY_SOURCE, rate(requests, '5m', { status: '=~5..|cut', known_error: '=false' }))} / (${sumBy(BY_SOURCE, rate(requests, '5m'))} > 0) > ${threshold('apiErrors', 'high')}`,
        },
      ],
    },
    {
      name: 'ShapecastAdmissionRejecting',
      summary: `Requests to ${OF_SOURCE} are refused because too many are in progress`,
      description:
        'Answered 503 with Retry-After. Refused readers of shapes that exist (high) are worse than refused new ones (warning): they were served before.',
      stages: [
        {
          severity: 'warning',
          for: '5m',
          expr: `${rejected('initial')} / (${sumBy(BY_SOURCE, rate(requests, '5m', { live: '=false' }))} > 0) > ${threshold('admissionInitial', 'warning')}`,
        },
        { severity: 'high', for: '5m', expr: `${rejected('existing')} > 0` },
      ],
    },
    {
      name: 'ShapecastPollsNearCapacity',
      summary: `${OF_PROCESS} has {{ $value | humanizePercentage }} of the requests or connections that it takes`,
      description:
        'Beyond it requests are answered 503, or connections are not taken. More API pods take a share each.',
      stages: (['warning', 'high'] as const).map((severity) => ({
        severity,
        for: '5m',
        expr: `${inProgress} / (${allowed} > 0) > ${threshold('capacity', severity)} or ${sumBy(BY_PROCESS, gauge('shapecast.api.connections'))} / (${sumBy(BY_PROCESS, gauge('shapecast.api.connections.limit'))} > 0) > ${threshold('capacity', severity)}`,
      })),
    },
    {
      name: 'ShapecastNotificationLoss',
      summary: `{{ $value | humanizePercentage }} of the news of ${OF_SOURCE} were found by polling only`,
      description:
        'Hints that wake API pods get lost, so that clients hear of changes up to two seconds late. Nothing is missed.',
      stages: [
        {
          severity: 'warning',
          for: '10m',
          expr: `${sumBy(BY_SOURCE, rate('shapecast.api.poll_recovered.count', '10m'))} / (${sumBy(BY_SOURCE, rate('shapecast.api.wakeups.count', '10m', { cause: '!=timeout' }))} > 0) > ${threshold('notificationLoss', 'warning')}`,
        },
      ],
    },
    {
      name: 'ShapecastSourceStale',
      summary: `Answers of ${OF_SOURCE} may be out of date`,
      description:
        'The slot was dropped, or nothing is heard of the source. Clients get their data without being told that it is up to date.',
      stages: [{ severity: 'high', for: '2m', expr: `${maxBy(BY_SOURCE, gauge('shapecast.api.stale_sources'))} > 0` }],
    },
  ],
};
