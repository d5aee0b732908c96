import { h } from './dom.js';

/**
 * Asks before something is lost: the word has to be typed. Resolves with whether it was.
 * @param {{ title: string, text: string, word: string, action: string }} question
 * @returns {Promise<boolean>}
 */
export function confirmTyped({ title, text, word, action }) {
  return new Promise((resolve) => {
    const go = h('button', { class: 'danger', disabled: true, value: 'yes' }, action);
    const input = h('input', {
      id: 'typed',
      autocomplete: 'off',
      spellcheck: 'false',
      oninput: () => (go.disabled = input.value !== word),
    });
    const dialog = h(
      'dialog',
      { 'aria-labelledby': 'question' },
      h(
        'form',
        { method: 'dialog' },
        h('h2', { id: 'question' }, title),
        h('p', {}, text),
        h('div', { class: 'field' }, h('label', { for: 'typed' }, 'Type ', h('code', {}, word), ' to go on'), input),
        h(
          'div',
          { class: 'actions' },
          go,
          h('button', { value: 'no', type: 'button', onclick: () => dialog.close('no') }, 'Cancel'),
        ),
      ),
    );
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(dialog.returnValue === 'yes' && input.value === word);
    });
    document.body.append(dialog);
    dialog.showModal();
    input.focus();
  });
}
