import type { Pod } from '../chart/render.ts';

/** A Secret or ConfigMap that a pod cannot start without, and keys that have to be in it. */
export interface Reference {
  readonly kind: 'Secret' | 'ConfigMap';
  readonly name: string;
  readonly keys: readonly string[];
}

interface KeySelector {
  readonly name: string;
  readonly key: string;
  readonly optional?: boolean;
}

interface Source {
  readonly name?: string;
  readonly secretName?: string;
  readonly optional?: boolean;
  readonly items?: readonly { readonly key: string }[];
}

interface Volume {
  readonly secret?: Source;
  readonly configMap?: Source;
  readonly projected?: { readonly sources: readonly Volume[] };
}

/** All of them, as the kubelet finds them: variables and volumes of a pod. */
export function referencesOf({ spec }: Pick<Pod, 'spec'>): readonly Reference[] {
  const found: Reference[] = [];
  for (const container of [...spec.containers, ...(spec.initContainers ?? [])]) {
    for (const { valueFrom } of container.env ?? []) {
      const { secretKeyRef, configMapKeyRef } = (valueFrom ?? {}) as Record<string, KeySelector | undefined>;
      if (secretKeyRef) found.push(...keyOf('Secret', secretKeyRef));
      if (configMapKeyRef) found.push(...keyOf('ConfigMap', configMapKeyRef));
    }
    const all = (container['envFrom'] ?? []) as readonly {
      readonly secretRef?: Source;
      readonly configMapRef?: Source;
    }[];
    for (const { secretRef, configMapRef } of all) {
      if (secretRef) found.push(...sourceOf('Secret', secretRef));
      if (configMapRef) found.push(...sourceOf('ConfigMap', configMapRef));
    }
  }
  for (const volume of (spec.volumes ?? []) as readonly Volume[]) found.push(...ofVolume(volume));
  return found;
}

function ofVolume({ secret, configMap, projected }: Volume): readonly Reference[] {
  return [
    ...(secret ? sourceOf('Secret', secret) : []),
    ...(configMap ? sourceOf('ConfigMap', configMap) : []),
    ...(projected?.sources ?? []).flatMap(ofVolume),
  ];
}

function keyOf(kind: Reference['kind'], { name, key, optional }: KeySelector): readonly Reference[] {
  return optional === true ? [] : [{ kind, name, keys: [key] }];
}

function sourceOf(kind: Reference['kind'], { name, secretName, optional, items = [] }: Source): readonly Reference[] {
  if (optional === true) return [];
  return [{ kind, name: secretName ?? name ?? '', keys: items.map(({ key }) => key) }];
}
