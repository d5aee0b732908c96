import { addTo, type Histogram } from './histogram.ts';
import type { ReaderReport, Receipt } from './reports.ts';
import type { SequencedRow } from './sequence-tracker.ts';

/** Rows whose receipts one virtual user keeps; those that come later are missing from the figure of the last reader only. */
const MAX_RECEIPTS = 20_000;

/** What the readers of one virtual user have seen of one kind, for the charts: k6's own metrics keep no time. */
export class Series {
  readonly #kind: string;
  readonly #keepsReceipts: boolean;
  readonly #seconds: Record<string, Record<string, Histogram>> = {};
  readonly #receipts = new Map<number, [readers: number, slowestMs: number]>();

  /** `keepsReceipts`: all readers of the kind read the same shape, so that there is a last one to have a row. */
  constructor(kind: string, keepsReceipts: boolean) {
    this.#kind = kind;
    this.#keepsReceipts = keepsReceipts;
  }

  add({ seq }: SequencedRow, atMs: number, latencyMs: number): void {
    const second = Math.floor(atMs / 1_000);
    const kinds = (this.#seconds[second] ??= {});
    addTo((kinds[this.#kind] ??= {}), latencyMs);
    if (!this.#keepsReceipts) return;
    const receipt = this.#receipts.get(seq);
    if (receipt !== undefined) {
      receipt[0] += 1;
      receipt[1] = Math.max(receipt[1], latencyMs);
    } else if (this.#receipts.size < MAX_RECEIPTS) {
      this.#receipts.set(seq, [1, latencyMs]);
    }
  }

  get report(): ReaderReport {
    const receipts: Record<string, Receipt> = {};
    for (const [seq, receipt] of this.#receipts) receipts[`${this.#kind}/${seq}`] = receipt;
    return { series: this.#seconds, receipts };
  }
}
