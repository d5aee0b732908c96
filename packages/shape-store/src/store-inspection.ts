import type { ClockOffset } from '@shapecast/service-kit';

/** What somebody sees who looks the servers of a shape store over without changing anything: facts, which others judge. */
export interface StoreInspection {
  /** The servers that hold shards: one, or the primaries of a cluster that answered. */
  readonly nodes: readonly StoreServer[];
  /** Of a cluster; undefined where the settings say that it is none. */
  readonly cluster: { readonly state: string; readonly servedSlots: number } | undefined;
}

export interface StoreServer {
  /** `host:port`, or what the sentinels call it. */
  readonly name: string;
  readonly product: 'redis' | 'valkey';
  /** Of the Redis that it is compatible with. */
  readonly version: string;
  /** A replica takes no writes. */
  readonly role: 'primary' | 'replica';
  readonly inCluster: boolean;
  /** Reads its data from the disk, and answers nothing else meanwhile. */
  readonly loading: boolean;
  readonly usedBytes: number;
  /** 0 is without limit. */
  readonly maxBytes: number;
  readonly evictionPolicy: string;
  readonly appendOnly: boolean;
  /** The last write to the append-only file failed. */
  readonly appendFailed: boolean;
  readonly replicas: number;
  /** Settings that managed services keep to themselves are undefined. */
  readonly appendFsync: string | undefined;
  readonly minReplicasToWrite: number | undefined;
  readonly clock: ClockOffset | undefined;
}
