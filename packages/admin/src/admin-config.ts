import { list, port } from '@shapecast/service-kit';
import { z } from 'zod';

const MIN_TOKEN = 16;

/** Settings of whoever runs the admin API. Without a token there is none. */
export const adminConfig = {
  adminPort: port(
    3001,
    'Port of the admin API and the console, which are there once SHAPECAST_ADMIN_TOKEN is set. Stands for SHAPECAST_HEALTH_PORT, too.',
  ),
  adminHost: z.string().default('0.0.0.0').describe('Address of the admin port.'),
  adminTokens: list(
    'Token that lets somebody use the admin API, of at least 16 characters; two, separated by a comma, while one is being replaced.',
  )
    .refine((tokens) => tokens.every((token) => token.length >= MIN_TOKEN), 'expected at least 16 characters')
    .refine((tokens) => tokens.length <= 2, 'expected at most two: the one in use and its successor'),
};

export const adminNames = {
  adminPort: ['SHAPECAST_ADMIN_PORT'],
  adminHost: ['SHAPECAST_ADMIN_HOST'],
  adminTokens: ['SHAPECAST_ADMIN_TOKEN'],
} as const;
