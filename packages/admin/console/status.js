import { h } from './dom.js';

const TONES = {
  active: 'ok',
  asleep: '',
  draining: 'warn',
  paused: 'warn',
  starting: 'warn',
  removing: 'warn',
  gone: 'warn',
  stale: 'bad',
  unreadable: 'bad',
};

/** @param {{ status: string, problem?: string }} source */
export function statusTag({ status }) {
  return h('span', { class: `tag ${TONES[status] ?? ''}` }, status);
}

/** @param {string} kind how shapes are found */
export function kindTag(kind) {
  const tone = kind === 'scan' ? 'bad' : kind === 'complement' ? 'warn' : '';
  return h('span', { class: `tag ${tone}` }, kind);
}
