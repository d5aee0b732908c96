import { ask, sourcePath } from './api.js';
import { Chart } from './chart.js';
import { confirmTyped } from './dialogs.js';
import { fill, h, say } from './dom.js';
import { duration, number, rate, size } from './format.js';
import { clausesPart, explainPart } from './clauses-part.js';
import { rotationsPart } from './rotations-part.js';
import { shapesPart } from './shapes-part.js';
import { statusTag } from './status.js';

const IN_BYTES = new Set([
  'snapshotBytes',
  'snapshotBytesPerSecond',
  'egressBytesPerSecond',
  'publishBytesPerSecond',
  'logBytes',
  'redisBytes',
]);

/** One source: what it is, how it does, and what can be done about it. */
export function sourceView(id, page) {
  const title = h('div', { class: 'head' });
  const facts = h('dl', { class: 'tiles' });
  const settings = h('div');
  const quotas = h('div');
  const lag = h('div');
  const charts = {
    changes: new Chart({ title: 'Changes from Postgres', names: ['changes'], text: rate }),
    entries: new Chart({ title: 'Entries written to logs', names: ['entries'], text: rate }),
    requests: new Chart({ title: 'Requests', names: ['requests'], text: rate }),
    lag: new Chart({ title: 'Lag', names: ['stored', 'visible', 'answered'], text: duration }),
  };
  const parts = [shapesPart(id, page), clausesPart(id), rotationsPart(id)];
  const explain = explainPart(id, page);
  let begun = false;

  async function act(action, done) {
    const answer = await page.attempt(() => ask('POST', sourcePath(id, `/${action}`)));
    if (answer === undefined) return;
    say(done);
    await page.attempt(() => refresh(page.signal));
  }

  async function remove() {
    const text =
      'Its replication slot and its publication are dropped, and all of its shapes and records are deleted. Clients get 401 from now on. The database keeps its tables.';
    if (!(await confirmTyped({ title: `Remove source ${id}?`, text, word: id, action: 'Remove' }))) return;
    const path = `${sourcePath(id)}?confirm=${encodeURIComponent(id)}`;
    if ((await page.attempt(() => ask('DELETE', path))) !== undefined) await page.attempt(() => refresh(page.signal));
  }

  function actions({ origin, state }) {
    if (origin === 'environment') return h('p', { class: 'note' }, 'Declared by the environment of the processes.');
    const canRemove = state !== 'removing' && (origin === 'admin' || state === 'gone');
    const button = (name, text, work, options = {}) =>
      h('button', { type: 'button', 'data-focus': name, onclick: work, ...options }, text);
    const all = [
      state === 'active' && button('pause', 'Pause', () => act('pause', 'Paused')),
      state === 'active' && button('drain', 'Drain', () => act('drain', 'Draining')),
      (state === 'paused' || state === 'draining') &&
        button('resume', 'Resume', () => act('resume', 'Resumed'), { class: 'main' }),
    ];
    return [
      origin === 'file' && h('p', { class: 'note' }, 'Declared in the sources file: change it there.'),
      h(
        'div',
        { class: 'actions' },
        origin === 'admin' && all,
        canRemove && button('remove', 'Remove …', remove, { class: 'danger' }),
      ),
    ];
  }

  async function refresh(signal) {
    const source = await ask('GET', sourcePath(id), undefined, signal);
    fill(title, h('h1', {}, source.displayName ?? source.id), statusTag(source), actions(source), problem(source));
    showUsage(source.usage);
    fill(facts, ...factsOf(source));
    fill(settings, settingsOf(source));
    fill(quotas, quotaBars(source.quotas));
    fill(lag, ...lagOf(source));
    if (!begun) {
      const { history } = await ask('GET', sourcePath(id, '/usage'), undefined, signal);
      const { everyMs, series } = history;
      charts.changes.set([series.changes], everyMs);
      charts.entries.set([series.entries], everyMs);
      charts.requests.set([series.requests], everyMs);
      charts.lag.set([series.publishLagMs, series.applyLagMs, series.deliveryLagMs ?? []], everyMs);
      begun = true;
    }
    for (const part of parts) await part.refresh(signal);
  }

  const usageFacts = h('dl', { class: 'tiles' });
  function showUsage({ usage, rates, processes }) {
    const { gauges = {} } = usage;
    fill(
      usageFacts,
      ...tiles([
        ['Shapes', number(gauges.shapes)],
        ['Waiting requests', number(gauges.parked)],
        ['Answers', rates.egressBytes === undefined ? '–' : `${size(rates.egressBytes)}/s`],
        ['Redis', size(gauges.redisBytes)],
        ['Tx stream', size(gauges.streamBytes)],
        ['WAL kept', size(gauges.retainedWalBytes)],
        ['Processes', number(processes)],
      ]),
    );
  }

  const section = (name, ...children) =>
    h('section', { class: 'card', 'aria-label': name }, h('h2', {}, name), children);
  return {
    element: h(
      'div',
      {},
      h('p', {}, h('a', { href: '#/' }, '← All sources')),
      title,
      section(
        'Live',
        h(
          'div',
          { class: 'charts' },
          Object.values(charts).map(({ element }) => element),
        ),
      ),
      section('Use', usageFacts),
      section('Quotas', quotas),
      section('Shapes', parts[0].element),
      h(
        'div',
        { class: 'split' },
        section('Slow clauses', parts[1].element),
        section('Explain a clause', explain.element),
      ),
      h('div', { class: 'split' }, section('Ended shapes and events', parts[2].element), section('Lag by stage', lag)),
      section('Details', facts, settings),
    ),
    refresh,
    usage(data) {
      const { rates, usage } = data;
      const { gauges = {} } = usage;
      showUsage(data);
      if (!begun) return;
      charts.changes.add([rates.changes ?? known(usage, 'changes')]);
      charts.entries.add([rates.entries ?? known(usage, 'entries')]);
      charts.requests.add([rates.requests ?? known(usage, 'requests')]);
      charts.lag.add([gauges.publishLagMs, gauges.applyLagMs, gauges.deliveryLagMs]);
    },
    state: () => void page.attempt(() => parts[2].refresh(page.signal)),
  };
}

/** A counter that is there and did not grow. */
function known(usage, name) {
  return usage.counters?.[name] === undefined ? undefined : 0;
}

function problem({ problem: text }) {
  return text === undefined ? undefined : h('p', { class: 'problem' }, text);
}

function tiles(pairs) {
  return pairs.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value)));
}

function factsOf({ id, origin, database, access, leader, incarnation, routers, changedAt, labels }) {
  const entries = [
    ['Id', id],
    ['Declared by', { file: 'sources file', admin: 'admin API', environment: 'environment' }[origin]],
    ['Changed', changedAt === undefined ? '–' : new Date(changedAt).toLocaleString()],
    ['Database', database === undefined ? '–' : `${database.host}:${database.port}/${database.database}`],
    ['Who is let in', access === undefined ? '–' : accessText(access)],
    ['Leader', leader ?? 'none'],
    ['Incarnation', incarnation ?? '–'],
    ['Routers', routers],
    ...Object.entries(labels).map(([name, value]) => [`Label ${name}`, value]),
  ];
  return tiles(entries.map(([name, value]) => [name, String(value)]));
}

function settingsOf({ settings }) {
  const entries = Object.entries(settings);
  if (entries.length === 0) return undefined;
  return h(
    'ul',
    { class: 'list', 'aria-label': 'Settings of its own' },
    entries.map(([name, value]) => h('li', {}, h('code', {}, `${name}=${value}`))),
  );
}

function accessText({ secrets, tokens, insecure }) {
  if (insecure) return 'everybody';
  return [secrets > 0 && `${secrets} ${secrets === 1 ? 'secret' : 'secrets'}`, tokens && 'signed tokens']
    .filter(Boolean)
    .join(', ');
}

function quotaBars(quotas) {
  if (quotas.length === 0) return h('p', { class: 'empty' }, 'No limits are declared for this source.');
  return h(
    'div',
    { class: 'bars' },
    quotas.map(({ axis, limit, used, refused }) => {
      const text = (value) => (value === undefined ? '–' : IN_BYTES.has(axis) ? size(value) : number(value));
      const label = `${text(used)} of ${text(limit)}`;
      const bar =
        limit > 0 && used !== undefined
          ? h('meter', {
              min: 0,
              max: limit,
              low: limit * 0.7,
              high: limit * 0.9,
              optimum: 0,
              value: Math.min(used, limit),
              'aria-label': `${axis}: ${label}`,
            })
          : undefined;
      return h(
        'div',
        {},
        h('p', {}, h('span', {}, axis), h('span', {}, label)),
        bar,
        refused > 0 && h('p', { class: 'problem' }, `${number(refused)} refused`),
      );
    }),
  );
}

function lagOf({ lag, stream, shards, lagProblem, conditions, unownedShards }) {
  const behind = shards.map((shard) => shard.behind).filter((value) => value !== undefined);
  const missing = Object.entries(conditions).filter(([, { ok }]) => !ok);
  const entries = [
    ['Published', duration(lag.publishMs)],
    ['Applied', duration(lag.applyMs)],
    ['Served', duration(lag.serveMs)],
    ['In all', duration(lag.totalMs)],
    ['Records in the stream', stream === undefined ? '–' : number(stream.lastSeq - stream.firstSeq + 1)],
    [
      'Of its size',
      stream === undefined
        ? '–'
        : stream.maxBytes
          ? `${size(stream.bytes)} of ${size(stream.maxBytes)}`
          : size(stream.bytes),
    ],
    ['Shards', shards.length === 0 ? '–' : number(shards.length)],
    ['Without owner', number(unownedShards)],
    ['Furthest behind', behind.length === 0 ? '–' : `${number(Math.max(...behind))} records`],
  ];
  return [
    h('dl', { class: 'tiles' }, tiles(entries)),
    lagProblem === undefined ? undefined : h('p', { class: 'problem' }, lagProblem),
    missing.length === 0
      ? undefined
      : h(
          'ul',
          { class: 'plain' },
          missing.map(([name, { error }]) => h('li', {}, h('code', {}, name), ' ', error ?? 'does not hold')),
        ),
  ];
}
