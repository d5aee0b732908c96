import { ask, sourcePath } from './api.js';
import { fill, h } from './dom.js';
import { moment, number } from './format.js';

const MOST = 12;

/** Shapes that ended, with reasons, and other changes of state. */
export function rotationsPart(id) {
  const element = h('div', {}, h('p', { class: 'empty' }, 'Looking …'));
  return {
    element,
    async refresh(signal) {
      const { rotations, events, journal } = await ask('GET', sourcePath(id, '/rotations'), undefined, signal);
      const latest = together([...rotations, ...events].sort((a, b) => (a.at > b.at ? -1 : 1))).slice(0, MOST);
      const reasons = journal.map(({ reason, shapes }) => h('li', {}, `${number(shapes)} × ${reason}`));
      fill(
        element,
        latest.length === 0
          ? h('p', { class: 'empty' }, 'Nothing happened since this process started.')
          : h('ul', { class: 'plain' }, latest.map(line)),
        reasons.length === 0 ? undefined : h('h3', {}, 'Ended in the last two days, by reason'),
        reasons.length === 0 ? undefined : h('ul', { class: 'plain' }, reasons),
      );
    },
  };
}

/** What happened to several shards at the same time is one line. */
function together(events) {
  const lines = [];
  for (const event of events) {
    const before = lines.at(-1);
    const same = event.event === 'shard_owner_changed' && before?.event === event.event;
    if (same) before.shards.push(event.shard);
    else lines.push({ ...event, shards: [event.shard] });
  }
  return lines;
}

function line(event) {
  return h('li', {}, h('time', { datetime: event.at }, moment(event.at)), ' ', whatOf(event));
}

function whatOf(event) {
  if (event.event === 'shape_rotated') {
    const table = event.table ? ` (${event.table})` : '';
    return [h('strong', {}, 'Shape ended: '), event.reason, table, h('code', { class: 'problem' }, event.handle)];
  }
  if (event.event === 'shard_owner_changed') {
    const shards = event.shards.toSorted((a, b) => a - b).join(', ');
    return [h('strong', {}, 'New owner: '), event.shards.length === 1 ? `shard ${shards}` : `shards ${shards}`];
  }
  return [h('strong', {}, event.text ?? event.event), detail(event)];
}

function detail({ reason, message, error, limit, holder, to }) {
  const text = reason ?? message ?? error ?? limit ?? holder ?? to;
  return text === undefined ? undefined : ` ${text}`;
}
