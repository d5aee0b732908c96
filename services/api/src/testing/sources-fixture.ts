import { randomBytes } from 'node:crypto';
import { openMemoryMessaging, type Messaging, type RegistryEntry } from '@shapecast/messaging';
import { silentLogger, systemClock, type Clock, type Logger } from '@shapecast/service-kit';
import { openMemoryShapeStore, type ShapeStore } from '@shapecast/shape-store';
import type { Telemetry } from '@shapecast/telemetry';
import { DeclaredSources, sealWith, SOURCES_BUCKET, type AllSeals, type SourceEntry } from '@shapecast/sources';
import { createApi, type Api, type ApiOptions } from '../api.ts';
import { ITEMS, QUICK_OPTIONS, row } from './api-fixture.ts';
import { RouterStandIn } from './router-stand-in.ts';
import { sendTo, type Reply, type SendInit } from './send.ts';

/** An API with the sources of a registry, over memory, with a stand-in for the rest of each source. */
export class SourcesFixture {
  readonly messaging: Messaging;
  readonly store: ShapeStore;
  readonly declared: DeclaredSources;
  readonly api: Api;
  readonly #seals: AllSeals;
  readonly #own: boolean;
  readonly #routers = new Map<string, RouterStandIn>();

  constructor(
    options: Partial<ApiOptions> = {},
    deps: {
      readonly clock?: Clock;
      readonly log?: Logger;
      readonly telemetry?: Telemetry;
      readonly messaging?: Messaging;
      readonly store?: ShapeStore;
      /** Connects then. */
      readonly late?: Promise<void>;
      /** One more process of the same installation; its parts are stopped by the first one. */
      readonly like?: SourcesFixture;
    } = {},
  ) {
    const { clock = systemClock, log = silentLogger, late, like } = deps;
    this.#own = like === undefined;
    const messaging = like?.messaging ?? deps.messaging ?? openMemoryMessaging(systemClock);
    this.messaging = messaging;
    this.store = like?.store ?? deps.store ?? openMemoryShapeStore(systemClock);
    const key = () => sealWith([randomBytes(32).toString('base64')]);
    const seals = like === undefined ? { database: key(), api: key() } : like.#seals;
    this.#seals = seals;
    const { registries } = messaging;
    this.declared = new DeclaredSources({ registries, seals, clock: systemClock, log: silentLogger });
    this.api = createApi(
      {
        messaging:
          late === undefined
            ? messaging
            : async () => {
                await late;
                return { ...messaging, connected: () => messaging.connected(), close: async () => {} };
              },
        ...{ store: this.store, seals: { api: seals.api }, telemetry: deps.telemetry, clock, log },
      },
      {
        source: 'unused',
        ...QUICK_OPTIONS,
        ...options,
      },
    );
  }

  async start(): Promise<this> {
    await this.api.start(new AbortController().signal);
    return this;
  }

  /** Declares a source, with a stand-in for its routers whose rows carry the id. `declaration` says more than the address. */
  async add(id: string, declaration: object = {}): Promise<RouterStandIn> {
    const known = this.#routers.get(id);
    const router = known ?? new RouterStandIn(this.messaging, this.store, id);
    if (known === undefined) {
      router.tables.set('public.items', ITEMS);
      router.rows.set('items', [[row(1, `${id} one`), row(2, `${id} two`)]]);
      this.#routers.set(id, router);
      await router.start();
    }
    await this.declared.declare(id, {
      databaseUrl: `postgresql://u:p@db.example.com/${id}`,
      ...('insecure' in declaration || 'access' in declaration ? {} : { secrets: [`secret of ${id}`] }),
      ...declaration,
    });
    return router;
  }

  /** What the API is to know of a source is sealed from now on with a key that it does not have. */
  async sealAnew(id: string): Promise<void> {
    const registry = await this.messaging.registries.open<SourceEntry>(SOURCES_BUCKET);
    const entry = (await registry.get(id)) as RegistryEntry<SourceEntry>;
    const other = sealWith([randomBytes(32).toString('base64')]);
    await registry.put(id, { ...entry.value, api: other.seal({ secrets: [], insecure: true }, `${id}/api`) });
  }

  async stop(): Promise<void> {
    await this.api.stop();
    if (!this.#own) return;
    for (const router of this.#routers.values()) router.stop();
    await this.store.close();
    await this.messaging.close();
  }

  /** The path goes out as it is. */
  async send(path: string, init: SendInit = {}): Promise<Reply> {
    return sendTo(this.api.port, path, init);
  }

  /** `GET /v1/shape?table=items&<query>` of a source with its secret. */
  shape(id: string, query = 'offset=-1', init: SendInit = {}): Promise<Reply> {
    const secret = encodeURIComponent(`secret of ${id}`);
    return this.send(`/v1/shape?table=items&source_id=${id}&secret=${secret}&${query}`, init);
  }

  /** Where a live request of a source goes on: read to the tail. */
  async tail(id: string): Promise<string> {
    const first = await this.shape(id);
    const handle = String(first.headers['electric-handle']);
    const next = await this.shape(id, `offset=${String(first.headers['electric-offset'])}&handle=${handle}`);
    return `offset=${String(next.headers['electric-offset'])}&handle=${handle}&live=true`;
  }
}
