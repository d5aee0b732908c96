import { ShapecastError } from '@shapecast/errors';
import type { ShapeStore } from '@shapecast/shape-store';

/**
 * A store whose connection breaks: `fails` decides call by call, and whether the call was done before its answer was lost.
 */
export function unreliableStore(
  store: ShapeStore,
  fails: (verb: string) => 'before' | 'after' | undefined,
): ShapeStore {
  return new Proxy(store, {
    get(target, verb: keyof ShapeStore) {
      const member: unknown = Reflect.get(target, verb);
      if (typeof member !== 'function') return member;
      const method = member as (...args: unknown[]) => unknown;
      // What is asked of nobody cannot get lost.
      if (verb === 'connected' || verb === 'connectionOf' || verb === 'close') return method.bind(target);
      return async (...args: unknown[]): Promise<unknown> => {
        const when = fails(verb);
        const lost = new ShapecastError('STORE_UNAVAILABLE', 'The connection was lost.');
        if (when === 'before') throw lost;
        const answer = await method.apply(target, args);
        if (when === 'after') throw lost;
        return answer;
      };
    },
  });
}
