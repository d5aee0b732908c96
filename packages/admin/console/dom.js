/**
 * Makes an element. Properties are set as such where the element has them (`onclick`, `disabled`, `value`), else as attributes; text is
 * never parsed.
 * @param {string} tag
 * @param {Record<string, any>} [given]
 * @param {...any} children
 * @returns {any}
 */
export function h(tag, given = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || value === false) continue;
    if (name === 'class') element.className = value;
    else if (name.startsWith('on') || name === 'value' || name === 'disabled' || name === 'hidden')
      element[name] = value;
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...children.flat(3).filter((child) => child !== undefined && child !== null && child !== false));
  return element;
}

/**
 * An SVG element.
 * @param {string} tag
 * @param {Record<string, any>} given
 */
export function s(tag, given = {}) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(given)) element.setAttribute(name, String(value));
  return element;
}

/**
 * Puts children in the place of what was there, unless they look the same: whoever reads or selects is not disturbed.
 * @param {Element} parent
 * @param {...any} children
 */
export function fill(parent, ...children) {
  const next = h('div', {}, ...children);
  if (parent.innerHTML === next.innerHTML) return;
  const focused = parent.contains(document.activeElement) ? document.activeElement?.getAttribute('data-focus') : null;
  parent.replaceChildren(...next.childNodes);
  const again = focused ? parent.querySelector(`[data-focus="${CSS.escape(focused)}"]`) : null;
  if (again instanceof HTMLElement) again.focus();
}

/**
 * A table that becomes a list of cards on a narrow screen. A cell is `[content, 'number'?]` or the content.
 * @param {string} caption for screen readers
 * @param {readonly any[]} columns
 * @param {readonly (readonly any[])[]} rows
 */
export function table(caption, columns, rows) {
  const labels = columns.map((column) => (typeof column === 'string' ? column : column.label));
  const head = columns.map((column, i) =>
    typeof column === 'string'
      ? h('th', { scope: 'col' }, column)
      : h('th', { scope: 'col', class: column.class, 'aria-sort': column.sort }, column.content ?? labels[i]),
  );
  const cells = (row) =>
    row.map((cell, i) => {
      const column = columns[i];
      return h('td', { 'data-label': labels[i], class: typeof column === 'string' ? undefined : column.class }, cell);
    });
  return h(
    'div',
    { class: 'scroll' },
    h(
      'table',
      { class: 'cards' },
      h('caption', { class: 'unseen' }, caption),
      h('thead', {}, h('tr', {}, head)),
      h(
        'tbody',
        {},
        rows.map((row) => h('tr', {}, cells(row))),
      ),
    ),
  );
}

/** @param {string} text told by screen readers */
export function say(text) {
  const place = document.getElementById('said');
  if (place) place.textContent = text;
}
