import { randomUUID } from 'node:crypto';
import { BUCKETS, type Messaging, type SourceRecord } from '@shapecast/messaging';
import { systemClock, type Logger } from '@shapecast/service-kit';
import type { ShapeStore } from '@shapecast/shape-store';
import { createAdmin, type Admin, type AdminDeps } from '../admin.ts';
import { ask, type Asked } from './ask.ts';

const TOKEN = 'a-token-of-the-admin-api';

interface Line {
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

/** One source that was set up, and an admin API of its own that knows it. */
export interface SourceWorld {
  readonly id: string;
  readonly admin: Admin;
  /** What the admin API has logged, all levels. */
  readonly lines: readonly Line[];
  readonly at: (method: string, path: string, body?: unknown) => Promise<Asked>;
  stop(): Promise<void>;
}

export async function openSourceWorld(
  { messaging, store }: { readonly messaging: Messaging; readonly store: ShapeStore },
  shards = 2,
  more: Partial<AdminDeps> = {},
): Promise<SourceWorld> {
  const id = `s-${randomUUID().slice(0, 18)}`;
  const registry = await messaging.registries.open<SourceRecord>(BUCKETS.sources.name);
  await registry.put(id, { incarnation: 1, shards, systemId: '1', timeline: 1, slotName: 's' });
  const lines: Line[] = [];
  const line = (bound: object) => (fields: object, message: string) =>
    void lines.push({ fields: { ...bound, ...fields }, message });
  const loggerOf = (bound: object): Logger => ({
    ...{ error: line(bound), warn: line(bound), info: line(bound), debug: line(bound) },
    child: (fields) => loggerOf({ ...bound, ...fields }),
  });
  const admin = createAdmin(
    {
      ...{ messaging: () => messaging, sources: { mode: 'environment', id }, store },
      ...{ clock: systemClock, log: loggerOf({}) },
      ...more,
    },
    { host: '127.0.0.1', port: 0, tokens: [TOKEN] },
  );
  await admin.start(new AbortController().signal);
  return {
    ...{ id, admin, lines },
    at: (method, path, body) => ask(admin, method, path, body, TOKEN),
    stop: () => admin.stop(),
  };
}
