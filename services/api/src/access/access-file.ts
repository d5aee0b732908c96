import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { AccessPolicy, parsePolicy, type ParsedPolicy } from '@shapecast/access';
import { wallTime, type Clock, type Logger } from '@shapecast/service-kit';
import type { Gate } from './gate.ts';

const CHECK_MS = 1_000;

/** What is wrong with the file; nothing when it can be used. */
export function accessFileProblems(path: string): readonly string[] {
  try {
    const parsed = parse(readFileSync(path, 'utf8'));
    return parsed.ok ? [] : parsed.problems;
  } catch (error) {
    return [(error as Error).message];
  }
}

/**
 * Has the gate use the policy in the file, and the next one when the file changes, until `signal` aborts. A file that cannot be
 * used changes nothing: a mistake neither opens the service nor locks everybody out.
 */
export async function followAccessFile(
  path: string,
  gate: Gate,
  parts: { readonly clock: Clock; readonly log: Logger },
  signal: AbortSignal,
): Promise<void> {
  const { clock, log } = parts;
  let current = readFileSync(path, 'utf8');
  const take = (text: string): number => {
    const parsed = parse(text);
    if (!parsed.ok) throw new Error(parsed.problems.join('; '));
    // What others have signed is about the time of day.
    gate.use(new AccessPolicy(parsed.policy, { now: () => wallTime(clock) }));
    return parsed.policy.rules.length;
  };
  take(current);
  let refused: string | undefined;
  while (!signal.aborted) {
    await clock.sleep(CHECK_MS, signal).catch(() => undefined);
    if (signal.aborted) return;
    const text = await readFile(path, 'utf8').catch(() => undefined);
    if (text === undefined || text === current || text === refused) continue;
    try {
      const rules = take(text);
      current = text;
      refused = undefined;
      log.info({ rules }, 'the access policy was read again');
    } catch (err) {
      refused = text;
      log.error({ err }, 'access file cannot be used, the policy read before stays valid');
    }
  }
}

function parse(text: string): ParsedPolicy {
  try {
    return parsePolicy(JSON.parse(text));
  } catch {
    return { ok: false, problems: ['the file is not JSON'] };
  }
}
