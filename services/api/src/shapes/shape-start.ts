import type { DefinitionParams } from '@shapecast/protocol';
import type { ShapeHead } from '@shapecast/shape-store';
import { creationFailure, unavailable, type Answer, type ShapeTarget } from '../answers.ts';
import type { Cancellable, ShapeResolver } from './shape-resolver.ts';
import type { SnapshotReader } from './snapshot-reader.ts';

interface ShapeStartDeps {
  readonly resolver: ShapeResolver;
  readonly snapshots: SnapshotReader;
}

interface ShapeStartOptions {
  /** For the snapshot of a new shape to deliver. */
  readonly snapshotStartMs: number;
}

/** Shapes that one request sees end before their snapshots deliver, until it gives up. */
const MAX_STARTS = 5;

/** A shape that can be read, or the answer when that fails or takes too long. */
export type Begun = { readonly target: ShapeTarget; readonly head: ShapeHead } | { readonly answer: Answer };

/** Waits for a shape that was just made. */
export class ShapeStart {
  readonly #deps: ShapeStartDeps;
  readonly #options: ShapeStartOptions;

  constructor(deps: ShapeStartDeps, options: ShapeStartOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /**
   * The current shape of a definition, made if need be. One that ends before its snapshot delivers, because its table changes
   * meanwhile, is nobody's yet: the next one is taken instead of a 409, to which clients would answer with the same request at
   * once (H 8.1).
   *
   * `expired` is a handle that the client was told has ended. Pods remember a table for a moment each, so after DDL one can
   * still mean the shape of the old table when another means that of the new one. Clients that get such a handle again and
   * again take it for a broken cache, and give up (CL-7): so the table is looked at once more before it is given.
   */
  async current(definition: DefinitionParams, waiting: Cancellable, expired?: string): Promise<Begun> {
    const { resolver } = this.#deps;
    for (let attempt = 1; ; attempt += 1) {
      let resolution = await resolver.current(definition, waiting);
      if (attempt === 1 && resolution.kind === 'target' && resolution.target.handle === expired) {
        resolver.distrust(resolution.target);
        resolution = await resolver.current(definition, waiting);
      }
      if (resolution.kind === 'answer') return resolution;
      const begun = await this.begun(resolution.target, resolution.head, waiting);
      if ('head' in begun || begun.answer.kind !== 'refetch' || attempt === MAX_STARTS) return begun;
    }
  }

  /** A shape that was found, once its snapshot is fixed and delivers. */
  async begun(target: ShapeTarget, known: ShapeHead | undefined, waiting: Cancellable): Promise<Begun> {
    if (known?.snapshotStarted === true) return { target, head: known };
    const { snapshots, resolver } = this.#deps;
    const head = await snapshots.started(target.shard, target.handle, this.#options.snapshotStartMs, waiting.signal);
    if (head === undefined) {
      return { answer: unavailable('Snapshot query took too long to start reading from the database', 10, true) };
    }
    if (head === 'gone') return { answer: await resolver.successor(target) };
    if (head.state !== 'dead') return { target, head };
    const failure = creationFailure(head.error);
    if (failure.kind === 'refetch') resolver.distrust(target);
    return { answer: failure.kind === 'refetch' ? await resolver.successor(target) : failure };
  }
}
