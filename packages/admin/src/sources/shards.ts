import { ShardPins, type Messaging, type RouterRecord } from '@shapecast/messaging';
import type { Clock, Logger } from '@shapecast/service-kit';
import { AdminError, invalid } from '../admin-error.ts';
import type { ShapeAdmin } from '../shapes/shape-admin.ts';
import type { ShardSight } from './shard-lag.ts';
import type { SourcesView } from './sources-view.ts';

interface ShardsDeps {
  readonly messaging: Messaging;
  readonly view: SourcesView;
  readonly shapes: ShapeAdmin | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A shard as an operator sees it who may move it. */
export interface ListedShard extends ShardSight {
  /** Alive; absent where there is no Redis to look into. */
  readonly shapes?: number;
  /** Router that an operator has given it to. */
  readonly pinned?: string;
}

export interface ListedRouter {
  readonly id: string;
  readonly owned: number;
  /** Why it is to have no shards as long as another router can. */
  readonly reluctant?: RouterRecord['reluctant'];
}

/** Which router has which shard of a source, and how that is changed (spec O 10.1). */
export class Shards {
  readonly #deps: ShardsDeps;

  constructor(deps: ShardsDeps) {
    this.#deps = deps;
  }

  async list(
    source: string,
  ): Promise<{ readonly shards: readonly ListedShard[]; readonly routers: readonly ListedRouter[] }> {
    const { view, shapes } = this.#deps;
    const [lag, counts, pins, routers] = await Promise.all([
      view.shards(source),
      shapes?.perShard(source),
      this.#pins(source).read(),
      view.routers(source),
    ]);
    const { lagProblem } = lag;
    if (lagProblem !== undefined)
      throw new AdminError({ status: 503, code: 'not_known', message: lagProblem, retryAfterS: 2 });
    return {
      shards: lag.shards.map((shard) => {
        const pinned = pins.get(shard.shard);
        return {
          ...shard,
          ...(counts === undefined ? {} : { shapes: counts.get(shard.shard) ?? 0 }),
          ...(pinned === undefined ? {} : { pinned }),
        };
      }),
      routers: routers.map(({ id, owned, reluctant }) => ({
        ...{ id, owned: owned.length },
        ...(reluctant === undefined ? {} : { reluctant }),
      })),
    };
  }

  /** Has `to` take the shard over; null: whoever would have it without an operator. Routers do it within seconds. */
  async move(source: string, shard: number, to: string | null): Promise<void> {
    const record = await this.#deps.view.record(source);
    if (record === undefined || !(shard < record.shards)) {
      throw new AdminError({
        status: 404,
        code: 'shard_not_found',
        message: 'The source has no shard of this number.',
      });
    }
    if (to !== null) {
      const routers = await this.#deps.view.routers(source);
      const router = routers.find(({ id }) => id === to);
      if (router === undefined) throw invalid(['to: is no router of the source that lives']);
      if (router.reluctant !== undefined)
        throw invalid([`to: is to have no shards at the moment (${router.reluctant})`]);
    }
    await this.#pins(source).set(shard, to ?? undefined);
  }

  #pins(source: string): ShardPins {
    const { messaging, clock, log } = this.#deps;
    return new ShardPins({ registries: messaging.registries, clock, log }, source);
  }
}
