import { z } from 'zod';
import type { LogLevel } from './logger.ts';

/** Settings that every service reads, with the names of the reference as aliases (spec O 5.2). */
export const commonConfig = {
  sourceId: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,64}$/, 'expected 1 to 64 letters, digits, _ or -')
    .default('single_stack')
    .describe('Name of the source; part of every key and subject.'),
  instanceId: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,64}$/, 'expected 1 to 64 letters, digits, _ or -')
    .optional()
    .describe('Name of this process in logs and registries; random when unset.'),
  logLevel: z
    .enum(['error', 'warning', 'warn', 'notice', 'info', 'debug'], {
      error: 'expected error, warning, notice, info or debug',
    })
    .default('info')
    .transform((level): LogLevel => (level === 'warning' ? 'warn' : level === 'notice' ? 'info' : level))
    .describe('Least important log lines to write.'),
};

export const commonNames = {
  sourceId: ['SHAPECAST_SOURCE_ID', 'ELECTRIC_DATABASE_ID'],
  instanceId: ['SHAPECAST_INSTANCE_ID', 'ELECTRIC_INSTANCE_ID'],
  logLevel: ['SHAPECAST_LOG_LEVEL', 'ELECTRIC_LOG_LEVEL'],
} as const;

/** A Postgres URL. The value is never repeated in an error. */
export function postgresUrl(description: string) {
  return z
    .string({ error: 'is required' })
    .regex(/^postgres(ql)?:\/\/[^/]+/, 'expected postgresql://user:password@host:port/database')
    .describe(description);
}
