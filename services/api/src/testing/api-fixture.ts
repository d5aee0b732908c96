import { randomUUID } from 'node:crypto';
import { openMemoryMessaging, type Messaging } from '@shapecast/messaging';
import { silentLogger, systemClock, type Clock } from '@shapecast/service-kit';
import type { ColumnInfo, RelationInfo } from '@shapecast/shape';
import { openMemoryShapeStore, type ShapeStore } from '@shapecast/shape-store';
import type { Telemetry } from '@shapecast/telemetry';
import { createApi, type Api, type ApiOptions } from '../api.ts';
import { RouterStandIn } from './router-stand-in.ts';
import { sendTo, type Reply, type SendInit } from './send.ts';

export type { Reply } from './send.ts';

const column = (name: string, attnum: number, extra: Partial<ColumnInfo> = {}): ColumnInfo => ({
  name,
  attnum,
  typeOid: 25,
  typeName: 'text',
  typeSchema: 'pg_catalog',
  typeKind: 'b',
  dims: 0,
  typeMod: -1,
  notNull: false,
  generated: 'none',
  ...extra,
});
const id = column('id', 1, { typeOid: 23, typeName: 'int4', notNull: true, pkIndex: 0 });

export const ITEMS: RelationInfo = {
  oid: 16_400,
  schema: 'public',
  name: 'items',
  kind: 'r',
  columns: [id, column('title', 2)],
};
const WIDE: RelationInfo = {
  oid: 16_401,
  schema: 'public',
  name: 'wide',
  kind: 'r',
  columns: [id, column('v1', 2), column('v2', 3)],
};

export const row = (number: number, title = `row ${number}`) =>
  `{"key":"\\"public\\".\\"items\\"/\\"${number}\\"","value":{"id":"${number}","title":"${title}"},"headers":{"operation":"insert","relation":["public","items"]}}`;

export const change = (number: number, lsn: bigint, op = 0, last = true) =>
  JSON.stringify({
    key: `"public"."items"/"${number}"`,
    value: { id: String(number), title: `row ${number}` },
    headers: {
      operation: 'insert',
      relation: ['public', 'items'],
      txids: [Number(lsn % 1000n)],
      lsn: String(lsn),
      op_position: op,
      ...(last ? { last: true } : {}),
    },
  });

/** On any free port of loopback; waits that tests see the end of. */
export const QUICK_OPTIONS = {
  port: 0,
  host: '127.0.0.1',
  secrets: [],
  longPollTimeoutMs: 2_000,
  readyTimeoutMs: 300,
  maxRequestsPerConnection: 0,
} as const satisfies Partial<ApiOptions>;

/** An API over memory, listening on loopback, with a stand-in for the rest of the cluster. */
export class ApiFixture {
  readonly messaging: Messaging;
  readonly store: ShapeStore;
  readonly router: RouterStandIn;
  readonly api: Api;
  /** Given to another fixture with the same messaging and store, that one's API is one more pod; only it is to be started. */
  readonly source: string;

  constructor(
    options: Partial<ApiOptions> = {},
    deps: {
      readonly store?: ShapeStore;
      readonly messaging?: Messaging;
      readonly telemetry?: Telemetry;
      readonly clock?: Clock;
    } = {},
  ) {
    const source = options.source ?? `test${randomUUID().slice(0, 8)}`;
    this.source = source;
    this.messaging = deps.messaging ?? openMemoryMessaging(systemClock);
    this.store = deps.store ?? openMemoryShapeStore(systemClock);
    this.router = new RouterStandIn(this.messaging, this.store, source);
    this.router.tables.set('public.items', ITEMS);
    this.router.tables.set('public.wide', WIDE);
    this.router.rows.set('items', [[row(1), row(2)]]);
    this.api = createApi(
      {
        ...{ messaging: this.messaging, store: this.store, telemetry: deps.telemetry },
        ...{ clock: deps.clock ?? systemClock, log: silentLogger },
      },
      {
        source,
        ...QUICK_OPTIONS,
        ...options,
      },
    );
  }

  async start(): Promise<this> {
    await this.router.start();
    await this.api.start(new AbortController().signal);
    return this;
  }

  async stop(): Promise<void> {
    await this.api.stop();
    this.router.stop();
    await this.store.close();
    await this.messaging.close();
  }

  /** `GET /v1/shape?table=items&<query>` unless the query names another table. */
  shape(
    query: string,
    init: { method?: string; headers?: Record<string, string>; body?: string } = {},
  ): Promise<Reply> {
    return this.send(`/v1/shape?${query.includes('table=') ? query : `table=items&${query}`}`, init);
  }

  /** The path goes out as it is: `fetch` would tidy it up. */
  async send(path: string, init: SendInit = {}): Promise<Reply> {
    return sendTo(this.api.port, path, init);
  }

  /** The handle of the shape a query means, read from its beginning. */
  async handle(query = ''): Promise<string> {
    const reply = await this.shape(`offset=-1${query === '' ? '' : `&${query}`}`);
    if (reply.status !== 200) throw new Error(`${reply.status} ${reply.text}`);
    return reply.headers['electric-handle'] as string;
  }
}

/** Resolves once `condition` holds. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setImmediate(resolve));
}
