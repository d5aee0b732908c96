import { readdirSync, readFileSync } from 'node:fs';
import { Router, type Response } from 'express';

const FOLDER = new URL('../../console/', import.meta.url);

const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
};

/** Nothing but what comes from here, and nothing inline. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** The console: a page and its modules, read once. They hold nothing that is not for everybody. */
export function consoleFiles(): Router {
  const router = Router({ caseSensitive: true, strict: true });
  for (const name of readdirSync(FOLDER)) {
    const type = TYPES[name.slice(name.lastIndexOf('.') + 1)];
    if (type === undefined) continue;
    const body = readFileSync(new URL(name, FOLDER));
    const path = name === 'index.html' ? '/' : `/console/${name}`;
    router.get(path, (_req, res: Response) => {
      res.set({ 'content-type': type, 'content-security-policy': POLICY, 'cache-control': 'no-cache' }).send(body);
    });
  }
  return router;
}
