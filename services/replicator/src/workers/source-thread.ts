import { Worker } from 'node:worker_threads';
import type { FromWorker, ToWorker } from './messages.ts';

/** A thread that runs sources, as the main thread sees it. */
export interface SourceThread {
  post(message: ToWorker): void;
  /** Resolves with why it ended, in words for people; never rejects. */
  readonly ended: Promise<string>;
  /** Ends it at once, whatever it does. */
  terminate(): Promise<void>;
}

export interface ThreadOptions {
  /** TypeScript file that the thread runs. */
  readonly entry: URL;
  readonly data: unknown;
  /** Beyond it the thread ends, and no other one does. */
  readonly heapBytes: number;
}

const MEBIBYTE = 1_048_576;
/** What is thrown away in a moment. V8 would take three times as much, and keep it: most of what an idle thread costs. */
const YOUNG_MB = 16;

/** Starts a thread with a heap of its own (spec O 4.5). */
export function startSourceThread(options: ThreadOptions, onTold: (told: FromWorker) => void): SourceThread {
  const limitMb = Math.max(16, Math.round(options.heapBytes / MEBIBYTE));
  const worker = new Worker(options.entry, {
    workerData: options.data,
    resourceLimits: { maxOldGenerationSizeMb: limitMb, maxYoungGenerationSizeMb: YOUNG_MB },
  });
  worker.on('message', onTold);
  let problem: string | undefined;
  const ended = new Promise<string>((resolve) => {
    worker.on('error', (err: Error & { readonly code?: string }) => {
      const outOfMemory = err.code === 'ERR_WORKER_OUT_OF_MEMORY';
      problem = outOfMemory ? `it needed more than ${limitMb} MiB` : `${err.name}: ${err.message}`;
    });
    worker.on('exit', (code) => resolve(problem ?? `it left with code ${code}`));
  });
  return {
    post: (message) => worker.postMessage(message),
    ended,
    async terminate() {
      await worker.terminate();
    },
  };
}
