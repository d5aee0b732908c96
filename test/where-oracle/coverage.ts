/** How often a construct was compared, and with which results. */
export interface Count {
  comparisons: number;
  true: number;
  false: number;
  null: number;
  error: number;
  /** Clauses the engine refused and Postgres takes. */
  refused: number;
  accepted: number;
}

/** Counters by construct: of clauses that are about it. Clauses that merely contain it do not say enough. */
export class Coverage {
  readonly counts = new Map<string, Count>();

  of(construct: string): Count {
    let count = this.counts.get(construct);
    if (count === undefined) {
      count = { comparisons: 0, true: 0, false: 0, null: 0, error: 0, refused: 0, accepted: 0 };
      this.counts.set(construct, count);
    }
    return count;
  }

  add(construct: string, outcome: string): void {
    const count = this.of(construct);
    count.comparisons++;
    if (outcome === 't') count.true++;
    else if (outcome === 'f') count.false++;
    else if (outcome === 'n') count.null++;
    else count.error++;
  }

  /** Constructs that have not met spec W 10.4: 1,000 comparisons, 5 % true, 5 % false. Refused ones are left out. */
  thin(): { readonly construct: string; readonly count: Count }[] {
    return [...this.counts]
      .filter(([, count]) => count.accepted > 0)
      .filter(([, { comparisons: all, true: yes, false: no }]) => all < 1000 || yes < all / 20 || no < all / 20)
      .map(([construct, count]) => ({ construct, count }));
  }

  table(): string {
    const share = (part: number, all: number): string => (all === 0 ? '-' : `${((100 * part) / all).toFixed(0)}%`);
    const lines = [...this.counts]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([construct, one]) =>
        [
          construct.padEnd(48),
          String(one.comparisons).padStart(9),
          share(one.true, one.comparisons).padStart(6),
          share(one.false, one.comparisons).padStart(6),
          share(one.null, one.comparisons).padStart(6),
          share(one.error, one.comparisons).padStart(6),
          `${one.accepted}/${one.accepted + one.refused}`.padStart(12),
        ].join(' '),
      );
    return ['construct'.padEnd(48) + ' compared   true  false   null  error     accepted', ...lines].join('\n');
  }
}
