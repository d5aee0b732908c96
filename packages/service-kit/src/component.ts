/** A long-lived part of a process: started once, stopped once. */
export interface Component {
  readonly name: string;
  /** Resolves once the component is doing its work; aborting `signal` abandons the attempt. */
  start(signal: AbortSignal): Promise<void>;
  /** Finishes what is in flight, then lets go of its resources. A second call is a no-op. */
  stop(): Promise<void>;
}
