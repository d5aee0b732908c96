import { KNOWN_FORMATS } from '@shapecast/log';

/**
 * A service of the next version: the processes that OTEL_NEWER_VERSION names read, and when they may write, formats of which the others
 * know nothing. The role is the first word of the instance id.
 */
const instance = process.env['SHAPECAST_INSTANCE_ID'] ?? '';
const newer = process.env['OTEL_NEWER_VERSION']?.split(',') ?? [];
if (newer.includes(instance)) Object.assign(KNOWN_FORMATS, { record: 2, log: 2 });

const [role = ''] = instance.split('-');
await import(`../../../services/${role}/src/main.ts`);
