import { ApiError, ask, follow, session } from './api.js';
import { fill, h, say } from './dom.js';
import { loginView } from './login-view.js';
import { sourceView } from './source-view.js';
import { sourcesView } from './sources-view.js';

/** How often is asked what is not told by events. */
const LOOK_MS = 5_000;

const main = /** @type {HTMLElement} */ (document.getElementById('main'));
const banner = /** @type {HTMLElement} */ (document.getElementById('banner'));
const link = /** @type {HTMLElement} */ (document.getElementById('link'));
const leave = /** @type {HTMLButtonElement} */ (document.getElementById('leave'));

/** Ends what the page before does. */
let shown = new AbortController();
/** Why what is shown may be old, by who says so. */
const troubles = new Map();

/** @param {string} who @param {string | undefined} text */
function trouble(who, text) {
  if (text === undefined) troubles.delete(who);
  else troubles.set(who, text);
  fill(
    banner,
    [...new Set(troubles.values())].map((one) => h('div', {}, one)),
  );
}

function signOut(reason) {
  session.set(undefined);
  open(reason);
}

leave.onclick = () => signOut();
window.addEventListener('hashchange', () => open());

/** @param {string} [reason] why somebody has to sign in again */
function open(reason) {
  shown.abort();
  shown = new AbortController();
  troubles.clear();
  trouble('start', undefined);
  leave.hidden = session.token === undefined;
  link.textContent = '';
  if (session.token === undefined) {
    document.title = 'Shapecast console';
    main.replaceChildren(loginView(reason, () => open()));
    main.querySelector('input')?.focus();
    return;
  }
  const { signal } = shown;
  const [, place, id] = location.hash.split('/');
  const source = place === 'sources' && id ? decodeURIComponent(id) : undefined;
  const view = source === undefined ? sourcesView() : sourceView(source, page(signal));
  document.title = `${source ?? 'Sources'} · Shapecast`;
  main.replaceChildren(view.element);
  main.focus({ preventScroll: true });
  say(source === undefined ? 'Sources' : `Source ${source}`);
  void look(view, signal);
  void follow(source, (event, data) => onEvent(view, event, data), signal);
}

/** What a page may do besides showing. */
function page(signal) {
  return {
    signal,
    trouble,
    /** @param {() => Promise<any>} work @returns {Promise<any>} */
    async attempt(work) {
      try {
        const result = await work();
        trouble('action', undefined);
        return result;
      } catch (error) {
        onError('action', error);
        return undefined;
      }
    },
  };
}

function onEvent(view, event, data) {
  if (event === 'usage') {
    link.textContent = data.nats ? 'live' : 'NATS is not connected';
    view.usage?.(data);
  }
  if (event === 'state') view.state?.(data);
}

/** Asks again and again, until another page is opened. */
async function look(view, signal) {
  while (!signal.aborted) {
    try {
      const overview = await ask('GET', '', undefined, signal);
      trouble('overview', overview.problems.length === 0 ? undefined : overview.problems.join(' '));
      await view.refresh(signal, overview);
      trouble('look', undefined);
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiError && error.status === 401) return signOut('The token is not taken any more.');
      onError('look', error);
    }
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, LOOK_MS);
      signal.addEventListener('abort', () => (clearTimeout(timer), resolve(undefined)), { once: true });
    });
  }
}

function onError(who, error) {
  if (shown.signal.aborted) return;
  const known = error instanceof ApiError;
  // The browser shows it to whoever looks for it.
  if (!known) reportError(error);
  if (known && error.status === 0) link.textContent = 'no connection';
  trouble(who, known ? error.message : 'Something went wrong in the console.');
}

open();
