import { fileURLToPath } from 'node:url';

/** The Node that runs us, unless it is too old for TypeScript (a test runner started by the system's Node). */
export function nodeForTypeScript(): string {
  const strips = (process.features as { readonly typescript?: unknown }).typescript;
  return strips ? process.execPath : fileURLToPath(new URL('../../node_modules/node/bin/node', import.meta.url));
}
