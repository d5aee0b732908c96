import type { Messaging, UsageReporter } from '@shapecast/messaging';
import type { Sources } from './source-front.ts';

/** What the sources of a process say of themselves. */
export interface SourcesReport {
  readonly status: string;
  readonly [detail: string]: unknown;
}

/** The sources of a process, wherever they are declared. */
export interface ProcessSources extends Sources {
  /** The process can serve what it is to serve, as far as sources are concerned. */
  readonly able: boolean;
  /** Follows what does not need NATS, until `signal` aborts. Throws before its first wait when something in it cannot be used. */
  follow(signal: AbortSignal): Promise<void>;
  /** Called once, when the process is connected; works until `signal` aborts. */
  connected(messaging: Messaging, reporter: UsageReporter, signal: AbortSignal): Promise<void>;
  /** The process is about to stop: answers what is held early, over `spreadMs`. */
  drain(spreadMs: number): void;
  report(): SourcesReport;
}
