import { ShapecastError } from '@shapecast/errors';
import type { HandleRecords, RotationJournal } from '@shapecast/messaging';
import type { Logger } from '@shapecast/service-kit';
import type { CreateRequest, ShapeHead, ShapeStore, ShardId } from '@shapecast/shape-store';
import type { StoreRoom } from '../expiry/store-room.ts';

interface LivingDeps {
  readonly store: ShapeStore;
  readonly journal: Pick<RotationJournal, 'failureOf' | 'record'>;
  readonly handles: Pick<HandleRecords, 'of' | 'isBeyond' | 'note'>;
  readonly room: Pick<StoreRoom, 'refusal'>;
  readonly log: Logger;
}

const HANDLES_TIMEOUT_MS = 5_000;
const ATTEMPTS = 3;

type Own = Pick<ShapeStore, 'find' | 'readHead' | 'readHeads' | 'getOrCreate' | 'rotate'>;

/**
 * The store as readers may see it: a handle that was ended stays dead, also when a store that went back has it alive (spec R
 * 12.5.7); none is issued twice, also by a store that lost all it knew (R 15.2.2); and new shapes need room (R 12.6.1).
 */
export function livingStore(deps: LivingDeps): ShapeStore {
  const { store, journal, handles, room, log } = deps;

  /** Also what is about to be ended, for the reason that it will have. */
  function asEnded<H extends ShapeHead | undefined>(head: H): H {
    if (head === undefined || head.state === 'dead') return head;
    const error = journal.failureOf(head.handle);
    return error === undefined ? head : { ...head, state: 'dead', error };
  }

  async function isUndead(shard: ShardId, handle: string): Promise<boolean> {
    if (journal.failureOf(handle) === undefined) return false;
    const head = await store.readHead(shard, handle);
    return head !== undefined && head.state !== 'dead';
  }

  async function create(shard: ShardId, request: CreateRequest) {
    const issued = await handles.of(shard.shard, HANDLES_TIMEOUT_MS);
    const result = await store.getOrCreate(shard, issued === undefined ? request : { ...request, issued });
    const newest = Number(result.handle.split('-')[1]);
    if (result.created && handles.isBeyond(shard.shard, newest)) {
      handles.note(shard.shard, newest).catch((err: unknown) => log.debug({ err }, 'a new handle was not noted'));
    }
    return result;
  }

  const own: Own = {
    async find(shard, digest) {
      const handle = await store.find(shard, digest);
      return handle !== undefined && (await isUndead(shard, handle)) ? undefined : handle;
    },
    async readHead(shard, handle) {
      return asEnded(await store.readHead(shard, handle));
    },
    async readHeads(shard, all) {
      return (await store.readHeads(shard, all)).map(asEnded);
    },
    async getOrCreate(shard, request) {
      const refusal = await room.refusal(shard);
      if (refusal !== undefined && (await own.find(shard, request.digest)) === undefined) {
        throw new ShapecastError('STORE_FULL', refusal);
      }
      for (let attempt = 1; ; attempt += 1) {
        const result = await create(shard, request);
        if (result.created || attempt === ATTEMPTS || !(await isUndead(shard, result.handle))) return result;
        const failure = journal.failureOf(result.handle);
        if (failure) await store.rotate(shard, result.handle, failure);
      }
    },
    async rotate(shard, handle, failure) {
      await journal.record([[handle, failure]]);
      return store.rotate(shard, handle, failure);
    },
  };

  return new Proxy(store, {
    get(target, name: keyof ShapeStore) {
      if (Object.hasOwn(own, name)) return own[name as keyof Own];
      const member: unknown = Reflect.get(target, name);
      return typeof member === 'function' ? (member as () => unknown).bind(target) : member;
    },
  });
}
