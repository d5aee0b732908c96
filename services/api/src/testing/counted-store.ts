import type { ShapeStore } from '@shapecast/shape-store';

/** The store, with a count of every call by name. `before` may fail or delay a call. */
export function counted(
  store: ShapeStore,
  before: (name: string) => Promise<void> | void = () => {},
): { readonly store: ShapeStore; readonly calls: Record<string, number> } {
  const calls: Record<string, number> = {};
  const proxy = new Proxy(store, {
    get(target, name) {
      const value = Reflect.get(target, name) as unknown;
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => {
        calls[String(name)] = (calls[String(name)] ?? 0) + 1;
        const call = () => (value as (...args: unknown[]) => unknown).apply(target, args);
        const wait = before(String(name));
        return wait === undefined ? call() : wait.then(call);
      };
    },
  });
  return { store: proxy, calls };
}
