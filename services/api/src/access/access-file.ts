import { readFileSync } from 'node:fs';
import { AccessPolicy, parsePolicy, type ParsedPolicy } from '@shapecast/access';
import { wallTime, type Clock, type Logger } from '@shapecast/service-kit';
import { followFile } from '../follow-file.ts';
import type { Gate } from './gate.ts';

/** What is wrong with the file; nothing when it can be used. */
export function accessFileProblems(path: string): readonly string[] {
  try {
    const parsed = parse(readFileSync(path, 'utf8'));
    return parsed.ok ? [] : parsed.problems;
  } catch (error) {
    return [(error as Error).message];
  }
}

/** Has the gate use the policy in the file, and the next one when the file changes, until `signal` aborts. */
export function followAccessFile(
  path: string,
  gate: Gate,
  parts: { readonly clock: Clock; readonly log: Logger },
  signal: AbortSignal,
): Promise<void> {
  const take = (text: string) => {
    const parsed = parse(text);
    if (!parsed.ok) throw new Error(parsed.problems.join('; '));
    // What others have signed is about the time of day.
    gate.use(new AccessPolicy(parsed.policy, { now: () => wallTime(parts.clock) }));
    return { rules: parsed.policy.rules.length };
  };
  const taken = 'the access policy was read again';
  const refused = 'access file cannot be used, the policy read before stays valid';
  return followFile({ path, take, taken, refused }, parts, signal);
}

function parse(text: string): ParsedPolicy {
  try {
    return parsePolicy(JSON.parse(text));
  } catch {
    return { ok: false, problems: ['the file is not JSON'] };
  }
}
