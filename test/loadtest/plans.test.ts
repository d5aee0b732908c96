import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseLoadtestArguments } from '../../loadtest/harness/arguments.ts';
import { phaseAt, share, type Plan } from '../../loadtest/lib/plan.ts';
import { planOf, SCENARIOS } from '../../loadtest/lib/plans.ts';
import { parametersOf, PROFILES } from '../../loadtest/lib/profiles.ts';

const FOLDER = new URL('../../loadtest/', import.meta.url);

describe.each(Object.keys(PROFILES))('profile %s', (profile) => {
  test.each(SCENARIOS)('%s has writers and readers that fit together', (scenario) => {
    const parameters = parametersOf(scenario, profile, '');
    const plan: Plan = planOf(scenario, parameters);
    expect(Object.values(parameters).every((value) => Number.isFinite(value) && value >= 0)).toBe(true);
    const lengths = plan.writers.map(({ phases }) => phases.map(({ seconds }) => seconds).join());
    expect(new Set(lengths).size).toBe(1);
    const [writer] = plan.writers;
    if (plan.readers.length > 0) expect(plan.phases).toHaveLength(writer?.phases.length ?? 0);
    for (const { source, channels, subscribers, fromPhase = 0, cutAtPhase = 0 } of plan.readers) {
      const its = plan.writers.find((each) => each.source === source);
      expect(its?.channels).toBeGreaterThanOrEqual(channels[0] + channels[1]);
      expect(subscribers).toBeGreaterThan(0);
      expect(Math.max(fromPhase, cutAtPhase)).toBeLessThan(its?.phases.length ?? 0);
    }
    for (const { perSecond } of plan.arrivals?.stages ?? []) expect(Number.isInteger(perSecond)).toBe(true);
  });
});

test('every scenario has a file and a place in the page, and no file is without a scenario', () => {
  const files = readdirSync(new URL('scenarios', FOLDER)).map((name) => name.replace('.ts', ''));
  expect(files.toSorted()).toEqual(SCENARIOS.toSorted());
  const page = readFileSync(new URL('README.md', FOLDER), 'utf8');
  expect(SCENARIOS.filter((name) => !page.includes(`| \`${name}\``))).toEqual([]);
});

test('readers are shared out evenly and completely', () => {
  expect(share(10, 4)).toEqual([2, 2, 3, 3]);
  expect(share(2, 8)).toEqual([1, 1]);
});

test('a phase is on from its first millisecond until before the next, and the last one stays', () => {
  const stages = [{ seconds: 2 }, { seconds: 3 }];
  expect([-1, 0, 1_999, 2_000, 4_999, 99_000].map((ms) => phaseAt(stages, ms))).toEqual([0, 0, 0, 1, 1, 1]);
});

describe('the command line', () => {
  const parse = (...argv: string[]) => parseLoadtestArguments(argv, {});

  test('names a scenario, and numbers that differ from the profile', () => {
    const args = parse('live-fanout', '--profile', 'laptop', '--set', 'subscribers=7', '--set', 'seconds=3', '--edge');
    expect(args).toMatchObject({ scenario: 'live-fanout', profile: 'laptop', edge: 'varnish', given: undefined });
    expect(parametersOf('live-fanout', 'laptop', args?.sets ?? '')).toMatchObject({
      subscribers: 7,
      seconds: 3,
      vus: 20,
    });
  });

  test('takes an installation that runs already', () => {
    const database = 'postgresql://user:secret@db/app';
    const args = parseLoadtestArguments(['churn', '--url', 'http://api:3000', '--database', database], {
      LOADTEST_SECRET: 's',
    });
    expect(args?.given).toEqual({
      url: 'http://api:3000',
      edgeUrl: undefined,
      targets: [{ source: '', databaseUrl: database, secret: 's' }],
    });
  });

  test.each([
    [['nonsense'], /name one scenario/],
    [['smoke', '--profile', 'huge'], /no profile huge/],
    [['smoke', '--set', 'readers=3'], /smoke has no readers; it has subscribers/],
    [['smoke', '--set', 'subscribers=many'], /subscribers must be a whole number/],
    [['smoke', '--url', 'http://api'], /--url needs/],
    [['smoke', '--database', 'postgresql://db/app'], /name its --url/],
    [['smoke', '--tolerance', 'some'], /--tolerance/],
  ])('refuses %j', (argv, message) => {
    expect(() => parse(...argv)).toThrow(message);
  });
});
