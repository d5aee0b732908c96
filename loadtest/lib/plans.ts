import type { Arrivals, Plan, ReaderGroup, WritePhase, WriterPlan } from './plan.ts';
import type { Parameters, ScenarioName } from './profile.ts';

const PAD_BYTES = 60;
const SHARED = [0, 1] as const;

/** What each question needs: tables, writes, readers. */
const PLANS: { readonly [S in ScenarioName]: (p: Parameters[S]) => Plan } = {
  smoke: (p) => ({
    writers: [writer({ channels: 3, rowsBefore: p.rows }, [steady(p)])],
    readers: [readers('reader', p, [0, 3])],
    phases: ['steady'],
  }),
  'initial-sync': (p) => ({
    writers: [writer({ channels: p.shapes, rowsBefore: p.rows }, [])],
    readers: [],
    arrivals: arrivals(p.maxClients, [['steady', p.seconds, p.clientsPerSecond]]),
    phases: ['steady'],
  }),
  'live-fanout': (p) => ({
    writers: [writer({ channels: 1, rowsBefore: 100 }, [steady(p)])],
    readers: [readers('reader', p, SHARED)],
    phases: ['steady'],
  }),
  'many-shapes': (p) => ({
    writers: [writer({ channels: p.subscribers, rowsBefore: 5 }, [steady(p)])],
    readers: [readers('reader', p, [0, p.subscribers])],
    phases: ['steady'],
  }),
  'catch-up': (p) => ({
    writers: [
      writer({ channels: 1, rowsBefore: 10 }, [
        {
          seconds: Math.max(1, Math.ceil(p.rowsBehind / p.writesPerSecond)),
          perSecond: p.writesPerSecond,
          together: p.rowsPerTransaction,
        },
      ]),
    ],
    readers: [],
    arrivals: arrivals(p.maxClients, [['steady', p.seconds, p.clientsPerSecond]]),
    phases: ['steady'],
  }),
  churn: (p) => ({
    writers: [writer({ channels: 2, rowsBefore: p.rows }, [{ ...steady(p), channels: SHARED }])],
    readers: [readers('reader', p, SHARED)],
    arrivals: arrivals(p.maxClients, [['steady', p.seconds, p.shapesPerSecond]]),
    phases: ['steady'],
  }),
  spike: (p) => ({
    writers: [
      writer({ channels: 1, rowsBefore: 100 }, [
        steady(p),
        { seconds: p.burstSeconds, perSecond: p.burstPerSecond, together: p.rowsPerTransaction },
        // What the burst has queued up may drain; the next phase is to be as good as the first again.
        { seconds: 10, perSecond: p.writesPerSecond },
        steady(p),
      ]),
    ],
    readers: [readers('reader', p, SHARED)],
    phases: ['before', 'burst', 'draining', 'after'],
  }),
  'reconnect-storm': (p) => ({
    writers: [
      writer({ channels: 1, rowsBefore: 100 }, [
        steady(p),
        // In which all come to wait, so that all have a request to break off.
        { seconds: 3, perSecond: 0 },
        { ...steady(p), seconds: 10 },
        steady(p),
      ]),
    ],
    readers: [
      readers('steady', p, SHARED),
      { ...readers('returning', { ...p, subscribers: p.returning }, SHARED), cutAtPhase: 2 },
    ],
    phases: ['before', 'lull', 'storm', 'after'],
  }),
  'noisy-neighbour': (p) => {
    const ids = Array.from({ length: p.sources }, (_, i) => `quiet-${i + 1}`);
    const loud = (perSecond: number, together: number): WritePhase => ({ seconds: p.seconds, perSecond, together });
    return {
      writers: [
        ...ids.map((source) => ({ ...writer({ channels: 1, rowsBefore: 10 }, [steady(p), steady(p)]), source })),
        {
          ...writer({ channels: 1, rowsBefore: 10 }, [loud(p.quota / 2, 1), loud(p.quota * p.times, 10)]),
          source: 'loud',
          quota: p.quota,
        },
      ],
      readers: [
        ...ids.map((source) => ({ ...readers('quiet', p, SHARED), source })),
        { ...readers('loud', p, SHARED), source: 'loud', leave: true },
      ],
      phases: ['before', 'meanwhile'],
    };
  },
  edge: (p) => ({
    writers: [
      writer({ channels: 2, rowsBefore: 100 }, [
        { ...steady(p), channels: SHARED },
        // Those of the second half come in here.
        { seconds: p.rampSeconds + 10, perSecond: 0, channels: [1, 1] },
        { ...steady(p), channels: [1, 1] },
      ]),
    ],
    readers: [
      { ...readers('direct', p, SHARED), edge: false },
      { ...readers('through-edge', p, [1, 1]), fromPhase: 1 },
    ],
    edge: true,
    phases: ['direct', 'pause', 'through-edge'],
  }),
  overload: (p) => {
    return {
      writers: [
        writer({ channels: 2, rowsBefore: p.rows }, [
          { ...steady(p), channels: SHARED },
          { ...steady(p), seconds: p.overSeconds + p.recoverySeconds, channels: SHARED },
          { ...steady(p), channels: SHARED },
        ]),
      ],
      readers: [readers('reader', p, SHARED)],
      arrivals: arrivals(p.maxClients, [
        ['before', p.seconds, p.clientsPerSecond],
        ['over', p.overSeconds, p.overPerSecond],
        ['recovery', p.recoverySeconds, p.clientsPerSecond],
        ['after', p.seconds, p.clientsPerSecond],
      ]),
      env: { SHAPECAST_MAX_CONCURRENT_REQUESTS: JSON.stringify({ initial: p.initialLimit, existing: 10_000 }) },
      phases: ['before', 'over', 'after'],
    };
  },
};

export const SCENARIOS = Object.keys(PLANS) as readonly ScenarioName[];

export function planOf<S extends ScenarioName>(scenario: S, parameters: Parameters[S]): Plan {
  return PLANS[scenario](parameters);
}

function writer(
  { channels, rowsBefore }: { readonly channels: number; readonly rowsBefore: number },
  phases: readonly WritePhase[],
): WriterPlan {
  return { channels, rowsBefore, padBytes: PAD_BYTES, phases };
}

function steady(p: { readonly seconds: number; readonly writesPerSecond: number }): WritePhase {
  return { seconds: p.seconds, perSecond: p.writesPerSecond };
}

function readers(
  kind: string,
  p: { readonly subscribers: number; readonly rampSeconds: number },
  channels: readonly [number, number],
): ReaderGroup {
  return { kind, subscribers: p.subscribers, channels, rampSeconds: p.rampSeconds };
}

function arrivals(maxClients: number, stages: readonly (readonly [string, number, number])[]): Arrivals {
  return { maxClients, stages: stages.map(([name, seconds, perSecond]) => ({ name, seconds, perSecond })) };
}
