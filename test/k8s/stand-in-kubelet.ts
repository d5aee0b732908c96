import { ApiError, type ApiClient, type KubeObject } from './api-client.ts';
import { referencesOf } from './references.ts';
import type { Pod } from '../chart/render.ts';

/** The node that all pods are bound to. */
const NODE = 'stand-in';
/** An image with this tag is never there. */
const MISSING_TAG = ':missing';
const LOOK_EVERY_MS = 300;

type PodObject = KubeObject & {
  readonly spec: Pod['spec'] & { readonly nodeName?: string; readonly restartPolicy?: string };
  readonly status?: { readonly phase?: string; readonly podIP?: string };
};

/**
 * Does to pods what a scheduler and a kubelet would, without running anything: binds them, says that they are ready, or that they
 * ended well where they are to end, and lets go of those that are deleted. A pod that refers to a Secret, a ConfigMap or a key that is
 * not there waits with the reason that the kubelet gives, and so does one whose image is `:missing`.
 */
export class StandInKubelet {
  readonly #api: ApiClient;
  #addresses = 0;
  #ended = false;
  #error: Error | undefined;
  #loop: Promise<void> | undefined;

  constructor(api: ApiClient) {
    this.#api = api;
  }

  async start(): Promise<void> {
    await this.#api.post('/api/v1/nodes', { apiVersion: 'v1', kind: 'Node', metadata: { name: NODE } });
    this.#loop = this.#run();
  }

  /** Rejects with the first thing that went wrong and should not have. */
  async stop(): Promise<void> {
    this.#ended = true;
    await this.#loop;
    if (this.#error !== undefined) throw this.#error;
  }

  async #run(): Promise<void> {
    while (!this.#ended) {
      const pods = await this.#api.list<PodObject>('/api/v1/pods').catch(this.#note);
      for (const pod of pods ?? []) await this.#attend(pod).catch(this.#note);
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
  }

  /** A pod may be gone, or changed, since the list was made: the next round sees how it is then. */
  readonly #note = (error: unknown): undefined => {
    // 403: its namespace is going.
    const passing = error instanceof ApiError && [403, 404, 409].includes(error.status);
    if (!passing) this.#error ??= error as Error;
  };

  async #attend(pod: PodObject): Promise<void> {
    const { metadata, spec, status } = pod;
    const path = `/api/v1/namespaces/${metadata.namespace}/pods/${metadata.name}`;
    if (metadata.deletionTimestamp !== undefined) return this.#api.delete(`${path}?gracePeriodSeconds=0`);
    if (status?.phase === 'Running' || status?.phase === 'Succeeded') return;
    if (spec.nodeName === undefined) {
      const target = { apiVersion: 'v1', kind: 'Node', name: NODE };
      await this.#api.post(`${path}/binding`, {
        ...{ apiVersion: 'v1', kind: 'Binding', metadata: { name: metadata.name }, target },
      });
    }
    const waiting = await this.#whyNot(pod);
    await this.#api.patch(`${path}/status`, { status: this.#statusOf(pod, waiting) });
  }

  /** As the kubelet says it. */
  async #whyNot({ metadata, spec }: PodObject): Promise<{ reason: string; message: string } | undefined> {
    const image = spec.containers.map((container) => container.image).find((name) => name.endsWith(MISSING_TAG));
    if (image !== undefined) return { reason: 'ErrImagePull', message: `${image} not found` };
    for (const { kind, name, keys } of referencesOf({ spec })) {
      const reason = 'CreateContainerConfigError';
      const plural = kind === 'Secret' ? 'secrets' : 'configmaps';
      const object = await this.#api.find(`/api/v1/namespaces/${metadata.namespace}/${plural}/${name}`);
      if (object === undefined) return { reason, message: `${kind.toLowerCase()} "${name}" not found` };
      const missing = keys.find((key) => object.data?.[key] === undefined);
      if (missing !== undefined) return { reason, message: `couldn't find key ${missing} in ${kind} ${name}` };
    }
    return undefined;
  }

  #statusOf({ spec }: PodObject, waiting: { reason: string; message: string } | undefined): unknown {
    const now = new Date().toISOString();
    const ends = spec.restartPolicy === 'Never' || spec.restartPolicy === 'OnFailure';
    const ready = waiting === undefined && !ends;
    const state = waiting
      ? { waiting }
      : ends
        ? { terminated: { exitCode: 0, reason: 'Completed', startedAt: now, finishedAt: now } }
        : { running: { startedAt: now } };
    const phase = waiting ? 'Pending' : ends ? 'Succeeded' : 'Running';
    const podIP = `10.1.${(this.#addresses >> 8) & 255}.${(this.#addresses += 1) & 255}`;
    return {
      phase,
      startTime: now,
      ...(waiting ? {} : { podIP, podIPs: [{ ip: podIP }] }),
      conditions: ['PodScheduled', 'Initialized', 'ContainersReady', 'Ready'].map((type) => ({
        type,
        status: ready || type === 'PodScheduled' ? 'True' : 'False',
        lastTransitionTime: now,
      })),
      containerStatuses: spec.containers.map(({ name, image }) => ({
        ...{ name, image, imageID: image, restartCount: 0 },
        ...{ ready, started: ready, state },
      })),
    };
  }
}
