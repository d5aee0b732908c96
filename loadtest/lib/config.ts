import { planOf } from './plans.ts';
import type { Parameters, ScenarioName } from './profile.ts';
import { parametersOf } from './profiles.ts';
import type { Plan } from './plan.ts';

/** What a run of k6 is told, all of it in its environment. */
export interface Config<S extends ScenarioName> {
  readonly scenario: S;
  readonly profile: string;
  readonly parameters: Parameters[S];
  readonly plan: Plan;
  /** Of the API, or its load balancer. */
  readonly baseUrl: string;
  /** Of the caching proxy, where there is one. */
  readonly edgeUrl: string | undefined;
  readonly writerUrl: string;
  /** API secrets by source; '' is the only one. */
  readonly secrets: Readonly<Record<string, string>>;
  /** Where handleSummary writes; only to standard output without it. */
  readonly resultDir: string | undefined;
}

/**
 * BASE_URL, WRITER_URL (harness/writer.ts), and if need be PROFILE (ci), SET (`name=value,...`), EDGE_URL, SECRET or SECRETS (JSON by
 * source), RESULT_DIR.
 */
export function configOf<S extends ScenarioName>(scenario: S): Config<S> {
  const env = __ENV;
  const profile = env['PROFILE'] ?? 'ci';
  const parameters = parametersOf(scenario, profile, env['SET'] ?? '');
  const secrets = JSON.parse(env['SECRETS'] ?? '{}') as Record<string, string>;
  return {
    ...{ scenario, profile, parameters },
    plan: planOf(scenario, parameters),
    baseUrl: env['BASE_URL'] ?? 'http://127.0.0.1:3000',
    edgeUrl: env['EDGE_URL'],
    writerUrl: env['WRITER_URL'] ?? 'http://127.0.0.1:4600',
    secrets: env['SECRET'] === undefined ? secrets : { ...secrets, '': env['SECRET'] },
    resultDir: env['RESULT_DIR'],
  };
}
