import type { Attack } from './generator.ts';
import type { RawAnswer } from './raw-connection.ts';
import type { Tenant } from './tenants.ts';

const SHAPE_METHODS = ['GET', 'HEAD', 'POST', 'DELETE'];
/** Differ from one answer to the next, whatever it is. */
const OF_THE_MOMENT = new Set(['date', 'x-request-id', 'connection', 'keep-alive']);

/** What is wrong with an answer, if anything. `unknown` is the answer to a source that is not there, and a wrong secret. */
export function judge(
  attack: Attack,
  answer: RawAnswer,
  tenants: readonly Tenant[],
  unknown: RawAnswer,
): string | undefined {
  return leak(attack, answer, tenants) ?? wrongAnswer(attack, answer, unknown);
}

/** Anything of a source for which the request has nothing, wherever in the answer it is. */
function leak({ named, right }: Attack, answer: RawAnswer, tenants: readonly Tenant[]): string | undefined {
  const text = `${answer.headers.map(([name, value]) => `${name}: ${value}`).join('\n')}\n${answer.body}`;
  for (const tenant of tenants) {
    const allowed = tenant === named && (right === 'secret' || right === 'token') && !tenant.paused;
    if (!allowed && text.includes(tenant.mark)) return `rows of ${tenant.id}`;
    const handle = answer.headers.find(([name]) => name === 'electric-handle')?.[1];
    if (!allowed && handle !== undefined && tenant.handles.has(handle)) return `a handle of ${tenant.id}`;
    if (tenant.secrets.some((secret) => answer.body.includes(secret))) return `a secret of ${tenant.id}`;
  }
  return undefined;
}

function wrongAnswer(attack: Attack, answer: RawAnswer, unknown: RawAnswer): string | undefined {
  const { method, toShapes, right, named, plain } = attack;
  if (answer.status >= 500 && named?.paused !== true) return `status ${answer.status}`;
  if (plain) {
    const shows = answer.status === 200 && answer.body.includes(named?.mark ?? '?');
    return shows ? undefined : `no rows of its own: ${answer.status}`;
  }
  if (!toShapes || !SHAPE_METHODS.includes(method)) return undefined;
  if (right === 'signed') return [400, 401, 403].includes(answer.status) ? undefined : `let in: ${answer.status}`;
  if (right !== 'none') return undefined;
  const expected = comparable(unknown, method === 'HEAD');
  return comparable(answer, method === 'HEAD') === expected
    ? undefined
    : `told apart from a wrong secret: ${comparable(answer, false)} is not ${expected}`;
}

function comparable({ status, headers, body }: RawAnswer, head: boolean): string {
  const kept = headers.filter(([name]) => !OF_THE_MOMENT.has(name)).map(([name, value]) => `${name}: ${value}`);
  return [status, ...kept, head ? '' : body].join('\n');
}
