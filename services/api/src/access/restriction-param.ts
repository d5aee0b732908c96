import type { DefinitionParams, Params, Restriction } from '@shapecast/protocol';
import { z } from 'zod';

/** What an edge that has checked the token adds to the URL. It can only narrow what is asked for. */
export const RESTRICTION_PARAM = 'restriction';

const restriction = z.strictObject({
  where: z.string().optional(),
  params: z.record(z.string(), z.string()).optional(),
  columns: z.array(z.string()).optional(),
});

/** The restriction in a request of somebody trusted; undefined when there is none, 'invalid' when it cannot be read. */
export function restrictionOf(params: Params): Restriction | 'invalid' | undefined {
  const text = params[RESTRICTION_PARAM];
  if (text === undefined) return undefined;
  if (typeof text !== 'string') return 'invalid';
  try {
    return restriction.parse(JSON.parse(text)) as Restriction;
  } catch {
    return 'invalid';
  }
}

export function restricted(definition: DefinitionParams, restriction: Restriction | undefined): DefinitionParams {
  return restriction === undefined ? definition : { ...definition, restriction };
}
