import type { Severity } from './thresholds.ts';

/** One degree of an alert. */
export interface Stage {
  readonly severity: Severity;
  /** PromQL, with `<name.level>` where a threshold belongs. Whatever it returns is a case. */
  readonly expr: string;
  /** How long it has to be so; `0m`: at once. */
  readonly for: string;
}

/** Something that somebody has to know. `docs/runbook.md` has a section of its name. */
export interface Alert {
  readonly name: `Shapecast${string}`;
  /** One line with the source or the process, in the template language of Prometheus. */
  readonly summary: string;
  /** What it means and what clients notice. */
  readonly description: string;
  /** One, or several with rising severity. */
  readonly stages: readonly Stage[];
}

export interface AlertGroup {
  readonly name: string;
  readonly alerts: readonly Alert[];
}

/** Of a source, whichever process tells of it. */
export const BY_SOURCE = ['namespace', 'source'] as const;
/** Of a process. */
export const BY_PROCESS = ['namespace', 'job', 'pod', 'instance'] as const;

export const OF_SOURCE = 'source {{ $labels.source }} in {{ $labels.namespace }}';
export const OF_PROCESS = '{{ $labels.job }} {{ $labels.pod }} ({{ $labels.instance }}) in {{ $labels.namespace }}';
