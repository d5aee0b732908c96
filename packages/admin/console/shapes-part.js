import { ask, sourcePath } from './api.js';
import { confirmTyped } from './dialogs.js';
import { fill, h, say, table } from './dom.js';
import { ago, number, size } from './format.js';
import { kindTag } from './status.js';

const PAGE = 20;
const SORTS = { readers: 'Readers', bytes: 'Bytes', lastRead: 'Last read' };

/** The shapes of a source: with readers, bytes and how they are found. */
export function shapesPart(id, page) {
  const list = h('div', {}, h('p', { class: 'empty' }, 'Looking …'));
  let sort = 'bytes';
  let offset = 0;

  async function refresh(signal) {
    const answer = await ask(
      'GET',
      sourcePath(id, `/shapes?sort=${sort}&limit=${PAGE}&offset=${offset}`),
      undefined,
      signal,
    ).catch((error) => {
      if (signal?.aborted) throw error;
      fill(list, h('p', { class: 'empty' }, error.message));
      return undefined;
    });
    if (answer !== undefined) draw(answer);
  }

  function go(next) {
    offset = next;
    void page.attempt(() => refresh(page.signal));
  }

  function by(key) {
    sort = key;
    offset = 0;
    say(`Sorted by ${SORTS[key]}`);
    void page.attempt(() => refresh(page.signal));
  }

  async function remove(handle) {
    const text = `Its readers start over with another handle. Handle: ${handle}`;
    if (!(await confirmTyped({ title: 'Delete this shape?', text, word: 'delete', action: 'Delete' }))) return;
    const done = await page.attempt(() => ask('DELETE', sourcePath(id, `/shapes/${encodeURIComponent(handle)}`)));
    if (done !== undefined) await page.attempt(() => refresh(page.signal));
  }

  const sorted = (key) => ({
    label: SORTS[key],
    class: 'number',
    sort: sort === key ? 'descending' : undefined,
    content: h('button', { type: 'button', 'data-focus': `sort-${key}`, 'data-sort': key }, SORTS[key]),
  });

  function draw({ shapes, total, next, truncated }) {
    if (total === 0) return fill(list, h('p', { class: 'empty' }, 'There are no shapes.'));
    const columns = [
      'Table and clause',
      'Found by',
      sorted('readers'),
      sorted('bytes'),
      sorted('lastRead'),
      'State',
      { label: 'Delete', class: 'number' },
    ];
    const from = `${number(offset + 1)} to ${number(offset + shapes.length)} of ${number(total)}${truncated ? ' or more' : ''}`;
    fill(
      list,
      table('Shapes', columns, shapes.map(row)),
      h(
        'div',
        { class: 'actions pages' },
        h(
          'button',
          {
            type: 'button',
            class: 'small',
            'data-go': Math.max(0, offset - PAGE),
            'data-focus': 'previous',
            disabled: offset === 0,
          },
          'Previous',
        ),
        h(
          'button',
          {
            type: 'button',
            class: 'small',
            'data-go': next ?? offset,
            'data-focus': 'next',
            disabled: next === undefined,
          },
          'Next',
        ),
        h('span', { class: 'note' }, from),
      ),
    );
  }

  // One listener for all: the table is made anew whenever it looks different.
  list.addEventListener('click', (event) => {
    const { sort: key, go: to, handle } = /** @type {any} */ (event.target).dataset;
    if (key !== undefined) by(key);
    if (to !== undefined) go(Number(to));
    if (handle !== undefined) void remove(handle);
  });

  return { element: list, refresh };
}

function row({ handle, table: name, where, indexKind, readers, heldBytes, lastReadAt, state }) {
  return [
    h(
      'span',
      {},
      h('strong', {}, name ?? 'unknown'),
      where === undefined ? undefined : h('code', { class: 'problem' }, where),
      h('code', { class: 'problem' }, handle),
    ),
    kindTag(indexKind),
    number(readers),
    size(heldBytes),
    readers > 0 ? 'now' : ago(lastReadAt),
    state,
    h(
      'button',
      {
        type: 'button',
        class: 'small danger',
        'data-handle': handle,
        'data-focus': handle,
        'aria-label': `Delete ${handle}`,
      },
      'Delete',
    ),
  ];
}
