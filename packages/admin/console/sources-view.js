import { ask } from './api.js';
import { fill, h, table } from './dom.js';
import { duration, number, rate, size } from './format.js';
import { statusTag } from './status.js';

const COLUMNS = [
  'Source',
  'State',
  { label: 'Changes', class: 'number' },
  { label: 'Requests', class: 'number' },
  { label: 'Lag', class: 'number' },
  { label: 'Shapes', class: 'number' },
  { label: 'Waiting', class: 'number' },
  { label: 'WAL kept', class: 'number' },
];

/** All sources, with state and lag. */
export function sourcesView() {
  const list = h('div', {}, h('p', { class: 'empty' }, 'Looking …'));
  const processes = h('div');
  /** @type {any[] | undefined} */
  let sources;

  function draw() {
    if (sources === undefined) return;
    if (sources.length === 0) {
      return fill(
        list,
        h(
          'p',
          { class: 'empty' },
          'There are no sources yet. Declare one in the sources file, or with ',
          h('code', {}, 'shapecast sources add'),
          '.',
        ),
      );
    }
    fill(list, table('Sources with state and lag', COLUMNS, sources.map(row)));
  }

  return {
    element: h(
      'div',
      {},
      h('div', { class: 'head' }, h('h1', {}, 'Sources')),
      h('section', { class: 'card', 'aria-label': 'Sources' }, list),
      h(
        'section',
        { class: 'card', 'aria-labelledby': 'processes' },
        h('h2', { id: 'processes' }, 'Processes'),
        processes,
      ),
    ),
    async refresh(signal, overview) {
      ({ sources } = await ask('GET', '/sources', undefined, signal));
      draw();
      fill(processes, processTable(overview.processes));
    },
    usage({ sources: live }) {
      if (sources === undefined || live === undefined) return;
      for (const source of sources) {
        const { rates, gauges } = live[source.id] ?? { rates: {}, gauges: {} };
        source.usage = { ...source.usage, rates, usage: { ...source.usage.usage, gauges } };
      }
      draw();
    },
  };
}

function row(source) {
  const { rates, usage } = source.usage;
  const gauges = usage.gauges ?? {};
  const name = h('a', { href: `#/sources/${encodeURIComponent(source.id)}`, 'data-focus': source.id }, source.id);
  return [
    h('span', {}, name, source.displayName ? h('span', { class: 'problem' }, source.displayName) : undefined),
    h('span', {}, statusTag(source), source.problem ? h('span', { class: 'problem' }, source.problem) : undefined),
    rate(rates.changes),
    rate(rates.requests),
    duration(gauges.deliveryLagMs ?? gauges.applyLagMs ?? gauges.publishLagMs),
    number(gauges.shapes),
    number(gauges.parked),
    size(gauges.retainedWalBytes),
  ];
}

function processTable(processes) {
  if (processes.length === 0) return h('p', { class: 'empty' }, 'No process has told of itself yet.');
  const rows = processes
    .toSorted((a, b) => (a.role + a.process < b.role + b.process ? -1 : 1))
    .map(({ process, role, uptimeMs, sources }) => [h('code', {}, process), role, duration(uptimeMs), number(sources)]);
  return table(
    'Processes that report',
    ['Process', 'Role', { label: 'Up', class: 'number' }, { label: 'Sources', class: 'number' }],
    rows,
  );
}
