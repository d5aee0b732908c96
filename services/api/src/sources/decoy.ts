import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { AccessPolicy, parsePolicy } from '@shapecast/access';
import { silentLogger, wallTime, type Clock } from '@shapecast/service-kit';
import { Gate } from '../access/gate.ts';
import { PermitPool, Permits } from '../permits.ts';
import { Secrets } from '../secrets.ts';
import type { ApiTelemetry } from '../telemetry/api-telemetry.ts';
import { GONE, type SourceFront } from './source-front.ts';

/**
 * What stands for every source that is not there: it has a secret and a key that nobody knows, so that a request takes the same way, and
 * about the same time, as with a wrong secret or a wrong token for a source that is there (spec O 4.3).
 */
export function decoy(clock: Clock, edge: Secrets | undefined, telemetry: ApiTelemetry): SourceFront {
  // Whoever may ask any source gets the same answer for one that is not there.
  const gate = new Gate(new Secrets([randomUUID()]), silentLogger, {
    discreet: true,
    edge: edge && new Secrets([randomUUID()]),
  });
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const parsed = parsePolicy({ jwt: { keys: [publicKey.export({ format: 'jwk' })] } });
  if (!parsed.ok) throw new Error(parsed.problems.join('; '));
  gate.use(new AccessPolicy(parsed.policy, { now: () => wallTime(clock) }));
  return {
    gate,
    permits: new Permits(new PermitPool({ initial: 0, existing: 0 })),
    quotas: { request: () => GONE, overloaded: () => GONE },
    log: silentLogger,
    get telemetry() {
      return telemetry.nowhere;
    },
    refusal: GONE,
    sent() {},
    pauseMs: () => 0,
    began() {},
    ended() {},
    waits() {},
    service: async () => undefined,
  };
}
