import { randomUUID } from 'node:crypto';
import { configOrExit } from '@shapecast/service-kit';
import { processEnvironment, registrySources } from '@shapecast/sources';
import { parseRouterConfig } from './config.ts';
import { runRouters } from './host/run-routers.ts';

/** Composition root of the router service: one source from the environment, or all that are in the registry. */
async function main(): Promise<void> {
  const { env } = process;
  const seals = configOrExit((given) => registrySources('router', given), env);
  const config = configOrExit(parseRouterConfig, seals === undefined ? env : processEnvironment(env));
  await runRouters({ config, routerId: config.instanceId ?? randomUUID(), seals, env });
}

await main();
