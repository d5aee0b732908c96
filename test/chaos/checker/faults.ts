/** What a fault may take away; it decides what the checker has to put up with. */
export type Loss = 'nothing' | 'store-tail';

export interface RecordedFault {
  readonly kind: string;
  readonly loss: Loss;
  readonly from: number;
  /** Undefined while it lasts. */
  to: number | undefined;
}

/** All faults of a run with their times, by `performance.now()`. */
export class FaultLedger {
  readonly all: RecordedFault[] = [];

  begin(kind: string, loss: Loss, at: number): RecordedFault {
    const fault: RecordedFault = { kind, loss, from: at, to: undefined };
    this.all.push(fault);
    return fault;
  }

  heal(fault: RecordedFault, at: number): void {
    fault.to = at;
  }

  get active(): number {
    return this.all.filter(({ to }) => to === undefined).length;
  }

  /** Faults that lasted at some time of the stretch, at least for an instant. */
  during(from: number, to: number, loss?: Loss): readonly RecordedFault[] {
    return this.all.filter(
      (fault) =>
        fault.from <= to && (fault.to === undefined || fault.to >= from) && (loss === undefined || fault.loss === loss),
    );
  }

  byKind(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { kind } of this.all) counts[kind] = (counts[kind] ?? 0) + 1;
    return counts;
  }
}
