/**
 * The program of the image: the first argument is a role, or a command of the command line. Loaded when it is asked for, so a probe
 * does not load a service.
 */
const ROLES: Readonly<Record<string, () => Promise<unknown>>> = {
  api: () => import('../../../services/api/src/main.ts'),
  router: () => import('../../../services/router/src/main.ts'),
  replicator: () => import('../../../services/replicator/src/main.ts'),
  'source-remove': () => import('../../../services/replicator/src/bin/remove-source.ts'),
};

const [first = ''] = process.argv.slice(2);
const role = Object.hasOwn(ROLES, first) ? ROLES[first] : undefined;
if (role === undefined) {
  await import('../../../services/cli/src/main.ts');
} else {
  process.argv.splice(2, 1);
  await role();
}
