import { ROOT_CONTEXT } from '@opentelemetry/api';
import { SamplingDecision, TraceIdRatioBasedSampler } from '@opentelemetry/sdk-trace';
import type { TelemetryConfig } from '../telemetry-config.ts';
import type { TraceParent } from '../traceparent.ts';

/** Whether a span is recorded, decided before anything is made of it: most are not. */
export type Sampling = (parent: TraceParent | undefined, keep?: boolean) => boolean;

/** The samplers of OpenTelemetry by their names. A trace that begins here is sampled by chance, one from elsewhere as its name says. */
export function samplingOf(
  { sampler, samplingRatio }: Pick<TelemetryConfig, 'sampler' | 'samplingRatio'>,
  random: () => number,
): Sampling {
  const byChance = (keep?: boolean) => keep === true || random() < samplingRatio;
  switch (sampler) {
    case 'always_on':
      return () => true;
    case 'always_off':
      return () => false;
    case 'traceidratio': {
      const byId = new TraceIdRatioBasedSampler(samplingRatio);
      return (parent, keep) => {
        if (parent === undefined) return byChance(keep);
        const { decision } = byId.shouldSample(ROOT_CONTEXT, parent.traceId);
        return decision === SamplingDecision.RECORD_AND_SAMPLED;
      };
    }
    case 'parentbased_always_on':
      return (parent) => parent?.sampled ?? true;
    case 'parentbased_always_off':
      return (parent) => parent?.sampled ?? false;
    case 'parentbased_traceidratio':
      return (parent, keep) => parent?.sampled ?? byChance(keep);
  }
}
