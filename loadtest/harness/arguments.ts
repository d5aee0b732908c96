import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { ScenarioName } from '../lib/profile.ts';
import { parametersOf, PROFILES } from '../lib/profiles.ts';
import { SCENARIOS } from '../lib/plans.ts';

export const USAGE = `Usage: npm run loadtest -- <scenario> [options]

Starts an installation on this machine, writes and reads by the scenario, and keeps the result in loadtest/results. Exits 0 when every
threshold holds, 1 when one does not or something went wrong, 2 when the arguments are wrong, 3 when there is no k6.

Scenarios: ${SCENARIOS.join(', ')}

  --profile NAME       how much: ${Object.keys(PROFILES).join(', ')} (default ci)
  --set NAME=VALUE     another number than the profile has; may be repeated
  --edge               reads through a caching proxy, as configured in deploy/edge
  --edge-kind KIND     varnish or nginx (default varnish)
  --replicators N, --routers N, --apis N
                       processes of the local installation (default 2 of each)
  --url URL            an installation that runs already, instead of a local one; needs --database or --targets
  --edge-url URL       its caching proxy; scenarios with one need it
  --database URL       its database, where the writer makes the table loadtest_rows; better in LOADTEST_DATABASE_URL
  --targets FILE       its sources, as JSON: [{"source": "id", "databaseUrl": "postgresql://...", "secret": "..."}]
  --results DIR        where results go (default loadtest/results)
  --save-baseline      keeps the figures in loadtest/baseline, for later runs to be compared with
  --tolerance SHARE    fails when a figure is worse than the baseline by more than this share, such as 0.3
  --help               this text

The API secret of an installation that runs already comes from LOADTEST_SECRET.`;

export interface Target {
  readonly source: string;
  readonly databaseUrl: string;
  readonly secret?: string | undefined;
}

export interface LoadtestArguments {
  readonly scenario: ScenarioName;
  readonly profile: string;
  readonly sets: string;
  readonly edge: 'varnish' | 'nginx' | undefined;
  readonly processes: { readonly replicators: number; readonly routers: number; readonly apis: number };
  /** An installation that runs already. */
  readonly given:
    { readonly url: string; readonly edgeUrl: string | undefined; readonly targets: readonly Target[] } | undefined;
  readonly results: string | undefined;
  readonly saveBaseline: boolean;
  readonly tolerance: number | undefined;
}

/** Parses the command line; undefined when it asks for help. Throws an Error with one sentence for people. */
export function parseLoadtestArguments(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): LoadtestArguments | undefined {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      profile: { type: 'string', default: 'ci' },
      set: { type: 'string', multiple: true, default: [] },
      edge: { type: 'boolean', default: false },
      'edge-kind': { type: 'string', default: 'varnish' },
      replicators: { type: 'string', default: '2' },
      routers: { type: 'string', default: '2' },
      apis: { type: 'string', default: '2' },
      url: { type: 'string' },
      'edge-url': { type: 'string' },
      database: { type: 'string' },
      targets: { type: 'string' },
      results: { type: 'string' },
      'save-baseline': { type: 'boolean', default: false },
      tolerance: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return undefined;
  const scenario = SCENARIOS.find((name) => name === positionals[0]);
  if (scenario === undefined || positionals.length !== 1) throw new Error(`name one scenario: ${SCENARIOS.join(', ')}`);
  const sets = values.set.join(',');
  parametersOf(scenario, values.profile, sets);
  const kind = (['varnish', 'nginx'] as const).find((each) => each === values['edge-kind']);
  if (kind === undefined) throw new Error('--edge-kind must be varnish or nginx');
  const tolerance = values.tolerance === undefined ? undefined : Number(values.tolerance);
  if (tolerance !== undefined && !(tolerance >= 0)) throw new Error('--tolerance must be a share such as 0.3');
  const count = (name: 'replicators' | 'routers' | 'apis'): number => {
    if (/^[1-9]\d?$/.test(values[name])) return Number(values[name]);
    throw new Error(`--${name} must be a whole number from 1 to 99`);
  };
  return {
    ...{ scenario, sets, tolerance, profile: values.profile, results: values.results },
    edge: values.edge ? kind : undefined,
    processes: { replicators: count('replicators'), routers: count('routers'), apis: count('apis') },
    saveBaseline: values['save-baseline'],
    given: givenOf(values, env),
  };
}

function givenOf(
  values: { readonly [name in 'url' | 'edge-url' | 'database' | 'targets']?: string | undefined },
  env: Readonly<Record<string, string | undefined>>,
): LoadtestArguments['given'] {
  const databaseUrl = values.database ?? env['LOADTEST_DATABASE_URL'];
  const { url, targets } = values;
  if (url === undefined) {
    if (values.database !== undefined || targets !== undefined || values['edge-url'] !== undefined)
      throw new Error(
        '--database, --targets and --edge-url belong to an installation that runs already: name its --url',
      );
    return undefined;
  }
  const edgeUrl = values['edge-url'];
  if (targets !== undefined) return { url, edgeUrl, targets: JSON.parse(readFileSync(targets, 'utf8')) as Target[] };
  if (databaseUrl === undefined) throw new Error('--url needs --database, LOADTEST_DATABASE_URL or --targets');
  return { url, edgeUrl, targets: [{ source: '', databaseUrl, secret: env['LOADTEST_SECRET'] }] };
}
