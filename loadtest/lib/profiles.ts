import { ci } from '../profiles/ci.ts';
import { laptop } from '../profiles/laptop.ts';
import { large } from '../profiles/large.ts';
import { small } from '../profiles/small.ts';
import type { Parameters, Profile, ScenarioName } from './profile.ts';

export const PROFILES: Readonly<Record<string, Profile>> = { ci, laptop, small, large };

/** What a run of `scenario` is asked with; `sets` has `name=value,...` that differ from the profile. Throws a sentence for people. */
export function parametersOf<S extends ScenarioName>(scenario: S, profile: string, sets: string): Parameters[S] {
  const found = PROFILES[profile];
  if (found === undefined) throw new Error(`no profile ${profile}; there are ${Object.keys(PROFILES).join(', ')}`);
  const parameters: Record<string, number> = { ...(found[scenario] as unknown as Record<string, number>) };
  for (const pair of sets.split(',').filter((text) => text !== '')) {
    const [name = '', text = ''] = pair.split('=');
    const value = Number(text);
    if (!(name in parameters)) {
      throw new Error(`${scenario} has no ${name}; it has ${Object.keys(parameters).join(', ')}`);
    }
    if (text === '' || !Number.isInteger(value) || value < 0) throw new Error(`${name} must be a whole number`);
    parameters[name] = value;
  }
  return parameters as unknown as Parameters[S];
}
