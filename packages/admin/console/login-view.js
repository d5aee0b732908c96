import { ApiError, ask, session } from './api.js';
import { h } from './dom.js';

/**
 * @param {string | undefined} reason
 * @param {() => void} onDone
 */
export function loginView(reason, onDone) {
  const wrong = h('p', { class: 'wrong', role: 'alert', hidden: reason === undefined }, reason ?? '');
  const input = h('input', { id: 'token', type: 'password', autocomplete: 'current-password', required: true });
  const button = h('button', { class: 'main', type: 'submit' }, 'Sign in');
  const complain = (text) => {
    wrong.textContent = text;
    wrong.hidden = false;
    input.select();
  };
  const submit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      const token = input.value.trim();
      await ask('GET', '', undefined, undefined, token);
      session.set(token);
      onDone();
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) complain('This is no admin token.');
      else complain(error instanceof ApiError ? error.message : 'Signing in failed.');
    } finally {
      button.disabled = false;
    }
  };
  return h(
    'form',
    { class: 'card login', onsubmit: submit },
    h('h1', {}, 'Sign in'),
    h(
      'p',
      { class: 'note' },
      'With the admin token of this installation (SHAPECAST_ADMIN_TOKEN). It is kept until this tab is closed.',
    ),
    wrong,
    // For password managers: they keep a token under a name.
    h('input', { type: 'text', autocomplete: 'username', value: 'shapecast', hidden: true }),
    h('div', { class: 'field' }, h('label', { for: 'token' }, 'Admin token'), input),
    button,
  );
}
