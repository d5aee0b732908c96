import { configOrExit, parseConfig, systemClock, type HealthReport, type ProcessLog } from '@shapecast/service-kit';
import {
  openProcessTelemetry,
  openThreadTelemetry,
  telemetryConfig,
  telemetryNames,
  type Metrics,
  type ProcessTelemetry,
  type TelemetryConfig,
} from '@shapecast/telemetry';
import { z } from 'zod';

type Identity = Omit<Parameters<typeof openProcessTelemetry>[1], 'role'>;

/** Of this process, with what the environment says. */
export function openTelemetry(identity: Identity, { log, events }: ProcessLog): Promise<ProcessTelemetry> {
  return openProcessTelemetry(settings(), { role: 'replicator', ...identity }, { log, events, clock: systemClock });
}

/** Of a thread of it: spans go out from there, and measurements to the process. */
export function openWorkerTelemetry(identity: Identity, { log, events }: Log): Promise<ProcessTelemetry> {
  return openThreadTelemetry(settings(), { role: 'replicator', ...identity }, { log, events, clock: systemClock });
}

type Log = Pick<ProcessLog, 'log'> & { readonly events: { readonly counts: Readonly<Record<string, number>> } };

function settings(): TelemetryConfig {
  return configOrExit((env) => parseConfig(z.object(telemetryConfig), telemetryNames, env), process.env);
}

/** What is true of the process, whichever sources it has. */
export function watchProcess(metrics: Metrics, health: () => HealthReport, connected: () => boolean): void {
  metrics.gauge('shapecast.ready', {}, () => Number(health().ready));
  metrics.gauge('shapecast.bus.connected', {}, () => Number(connected()));
}
