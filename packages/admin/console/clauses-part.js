import { ask, sourcePath } from './api.js';
import { fill, h, table } from './dom.js';
import { number } from './format.js';
import { kindTag } from './status.js';

/** The clauses that cost most evaluations. */
export function clausesPart(id) {
  const element = h('div', {}, h('p', { class: 'empty' }, 'Looking …'));
  return {
    element,
    async refresh(signal) {
      const { tables } = await ask('GET', sourcePath(id, '/clauses'), undefined, signal);
      const rows = tables
        .flatMap(({ table: name, clauses }) => clauses.map((clause) => ({ name, ...clause })))
        .sort((a, b) => Number(b.kind === 'scan') - Number(a.kind === 'scan') || b.evaluations - a.evaluations)
        .slice(0, 10)
        .map(({ name, text, kind, shapes, evaluations }) => [
          h('span', {}, h('strong', {}, name), h('code', { class: 'problem' }, text)),
          kindTag(kind),
          number(shapes),
          number(evaluations),
        ]);
      fill(
        element,
        rows.length === 0
          ? h(
              'p',
              { class: 'empty' },
              'Routers have told of no clause yet: a table is listed once a change of it came by.',
            )
          : table(
              'Clauses that cost most evaluations',
              ['Clause', 'Found by', { label: 'Shapes', class: 'number' }, { label: 'Evaluations', class: 'number' }],
              rows,
            ),
      );
    },
  };
}

/** Says how a clause would be found, before anybody makes a shape of it. */
export function explainPart(id, page) {
  const name = h('input', { id: 'explain-table', required: true, autocomplete: 'off', placeholder: 'items' });
  const where = h('input', { id: 'explain-where', autocomplete: 'off', spellcheck: 'false', placeholder: 'owner = 7' });
  const result = h('div', { role: 'status' });
  const submit = async (event) => {
    event.preventDefault();
    const body = { table: name.value, ...(where.value === '' ? {} : { where: where.value }) };
    try {
      show(await ask('POST', sourcePath(id, '/explain'), body, page.signal));
    } catch (error) {
      fill(result, h('p', { class: 'wrong' }, error instanceof Error ? error.message : 'It failed.'));
    }
  };
  function show({ kind, says, lookups, pinned, cost }) {
    fill(
      result,
      h('p', {}, kindTag(kind), ' ', says),
      lookups.length === 0 ? undefined : h('p', { class: 'note' }, `Looked up by ${lookups.join('; ')}.`),
      pinned.length === 0 ? undefined : h('p', { class: 'note' }, `Pinned columns: ${pinned.join(', ')}.`),
      kind === 'all' || kind === 'never'
        ? undefined
        : h('p', { class: 'note' }, `Expected part of the rows that is looked at: ${(100 * cost).toPrecision(2)} %.`),
    );
  }
  return {
    element: h(
      'form',
      { onsubmit: submit },
      h('div', { class: 'field' }, h('label', { for: 'explain-table' }, 'Table'), name),
      h('div', { class: 'field' }, h('label', { for: 'explain-where' }, 'Where clause'), where),
      h('div', { class: 'field' }, h('button', { type: 'submit' }, 'Explain')),
      result,
    ),
  };
}
