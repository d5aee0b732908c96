import { gauge, gaugeOver, maxBy, minBy, observedSum, rate, sumBy } from '../promql/select.ts';
import { HERE, WINDOW, type Row } from './dashboard.ts';
import { lines, stepsOf, top } from './panel.ts';

const role = { ...HERE, job: '=~.*(replicator|router|api).*' } as const;

/** Whether processes are well. */
export const PROCESS_ROWS: readonly Row[] = [
  {
    title: 'Processes',
    panels: [
      lines('Ready', 'Processes that do their whole job, by component.', 'none', {
        '{{job}}': sumBy(['job'], gauge('shapecast.ready', HERE)),
      }),
      lines(
        'Restarts',
        'In the last half hour.',
        'none',
        {
          '{{job}} {{pod}}': `${maxBy(['job', 'pod'], `changes(${gaugeOver('process.start_timestamp', '30m', HERE)})`)} > 0`,
        },
        { steps: stepsOf('restarts') },
      ),
      lines('Processors', 'Processor seconds per second.', 'none', {
        '{{job}} {{pod}}': top(sumBy(['job', 'pod'], rate('process.cpu.time', WINDOW, HERE))),
      }),
      lines('Memory', 'Resident memory.', 'bytes', {
        '{{job}} {{pod}}': top(maxBy(['job', 'pod'], gauge('process.memory.total', HERE))),
      }),
      lines('Heap', 'Heap in use, over all threads; the limit is that of the main thread.', 'bytes', {
        '{{job}} {{pod}}': top(maxBy(['job', 'pod'], gauge('process.memory.heap_used', HERE))),
        'limit, {{job}}': minBy(['job'], gauge('process.memory.heap_limit', role)),
        'buffers outside, {{job}} {{pod}}': top(maxBy(['job', 'pod'], gauge('process.memory.external', HERE))),
      }),
      lines(
        'Event loop',
        'Delay in the last ten seconds; 99 of 100 were shorter, half were shorter, the longest.',
        's',
        {
          '99 of 100, {{job}} {{pod}}': top(maxBy(['job', 'pod'], gauge('nodejs.eventloop.delay.p99', HERE))),
          'half, {{job}}': maxBy(['job'], gauge('nodejs.eventloop.delay.p50', HERE)),
          'longest, {{job}}': maxBy(['job'], gauge('nodejs.eventloop.delay.max', HERE)),
        },
        { steps: stepsOf('eventLoopDelay') },
      ),
      lines(
        'Event loop in use',
        'Share of time that the busiest event loop of a process worked.',
        'percentunit',
        { '{{job}} {{pod}}': top(maxBy(['job', 'pod'], gauge('nodejs.eventloop.utilization', HERE))) },
        { max: 1 },
      ),
      lines('Garbage collection', 'Share of time spent in pauses, by kind.', 'percentunit', {
        '{{job}} {{kind}}': `${sumBy(['job', 'kind'], observedSum('v8js.gc.duration', WINDOW, HERE))} / 1000`,
      }),
      lines(
        'Machines',
        'Processors in use, load by processors, and memory in use, of the machines that processes run on.',
        'none',
        {
          'processors %, {{pod}}': top(maxBy(['pod'], gauge('system.cpu.utilization.total', HERE))),
          'load %, {{pod}}': top(maxBy(['pod'], gauge('system.load_percent.avg1', HERE))),
          'memory %, {{pod}}': top(maxBy(['pod'], gauge('system.memory_percent.used_memory', HERE))),
        },
      ),
      lines('State events', 'By name, as the log has them.', 'cps', {
        '{{name}}': sumBy(['name'], rate('shapecast.state_events.count', WINDOW, HERE)),
      }),
      lines('Given up', 'Log lines that were said too often, and measurements or spans that nobody took.', 'cps', {
        'log lines, {{job}}': sumBy(['job'], rate('shapecast.log.dropped.count', WINDOW, HERE)),
        '{{reason}}, {{job}}': sumBy(['job', 'reason'], rate('shapecast.telemetry.dropped.count', WINDOW, HERE)),
      }),
      lines('Versions', 'Processes by version of Shapecast and of Node.', 'none', {
        '{{name}} {{version}}': `count by (name, version) (${gauge('shapecast.build.info', HERE)})`,
      }),
    ],
  },
];
