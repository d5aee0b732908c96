import type { Container, Pod } from './render.ts';

type Context = Readonly<Record<string, unknown>>;

const VOLUMES = [
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'persistentVolumeClaim',
  'projected',
  'secret',
];

/**
 * Why the `restricted` level of Pod Security would not admit a pod (kubernetes.io/docs/concepts/security/pod-security-standards), and
 * what we ask beyond it: a root file system that cannot be written, no token, no links.
 */
export function podSecurityProblems({ spec }: Pod): readonly string[] {
  const problems: string[] = [];
  const pod = (spec['securityContext'] ?? {}) as Context;
  for (const field of ['hostNetwork', 'hostPID', 'hostIPC', 'shareProcessNamespace']) {
    if (spec[field] === true) problems.push(`${field} is on`);
  }
  if (pod['runAsNonRoot'] !== true) problems.push('may run as root');
  if (pod['runAsUser'] === 0 || pod['runAsGroup'] === 0) problems.push('runs as root');
  if ((pod['seccompProfile'] as Context | undefined)?.['type'] !== 'RuntimeDefault')
    problems.push('has no seccomp profile');
  if (spec['automountServiceAccountToken'] !== false) problems.push('gets a token of the Kubernetes API');
  if (spec['enableServiceLinks'] !== false) problems.push('gets variables of all services');
  for (const { name, ...source } of spec.volumes ?? []) {
    const kinds = Object.keys(source).filter((kind) => !VOLUMES.includes(kind));
    if (kinds.length > 0) problems.push(`volume ${name} is of kind ${kinds.join()}`);
  }
  for (const container of [...spec.containers, ...(spec.initContainers ?? [])]) {
    problems.push(...containerProblems(container).map((problem) => `${container.name} ${problem}`));
  }
  return problems;
}

function containerProblems(container: Container): readonly string[] {
  const context = (container['securityContext'] ?? {}) as Context;
  const { drop = [], add = [] } = (context['capabilities'] ?? {}) as { drop?: string[]; add?: string[] };
  const hostPorts = (container.ports ?? []).some((port) => 'hostPort' in port);
  return [
    ...(context['privileged'] === true ? ['is privileged'] : []),
    ...(context['allowPrivilegeEscalation'] === false ? [] : ['may gain privileges']),
    ...(drop.includes('ALL') ? [] : ['keeps capabilities']),
    ...(add.some((capability) => capability !== 'NET_BIND_SERVICE') ? ['adds capabilities'] : []),
    ...(context['readOnlyRootFilesystem'] === true ? [] : ['can write its root file system']),
    ...(hostPorts ? ['has a port of the host'] : []),
  ];
}

/** Names that stand twice where they may not; the API server refuses them, or the last wins silently. */
export function duplicates({ spec }: Pod): readonly string[] {
  const found: string[] = [];
  const check = (what: string, names: readonly string[]) => {
    found.push(...names.filter((name, i) => names.indexOf(name) < i).map((name) => `${what} ${name}`));
  };
  const containers = [...spec.containers, ...(spec.initContainers ?? [])];
  check(
    'container',
    containers.map(({ name }) => name),
  );
  check(
    'volume',
    (spec.volumes ?? []).map(({ name }) => name),
  );
  check(
    'port',
    spec.containers.flatMap(({ ports = [] }) => ports.map(({ name }) => name)),
  );
  check(
    'port number',
    spec.containers.flatMap(({ ports = [] }) => ports.map(({ containerPort }) => String(containerPort))),
  );
  for (const { name, env = [], volumeMounts = [] } of containers) {
    check(
      `${name} variable`,
      env.map((variable) => variable.name),
    );
    check(
      `${name} mount path`,
      volumeMounts.map(({ mountPath }) => mountPath),
    );
    const volumes = new Set((spec.volumes ?? []).map((volume) => volume.name));
    found.push(...volumeMounts.filter((mount) => !volumes.has(mount.name)).map((mount) => `no volume ${mount.name}`));
  }
  return found;
}
