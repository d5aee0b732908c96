import { ADMIN_FLAGS, AdminClient } from '../admin/admin-client.ts';
import { EXIT, type Command } from '../command.ts';
import { durationText, numberText, rateText, sizeText } from '../output/quantities.ts';
import { table } from '../output/table.ts';

/** How long the latest changes took, in milliseconds; what nobody tells of is left out. */
export interface StageLag {
  readonly publishMs?: number;
  readonly applyMs?: number;
  readonly serveMs?: number;
  readonly totalMs?: number;
}

/** What of a source's summary is used here. */
export interface Summary {
  readonly id: string;
  readonly state: string;
  readonly status: string;
  readonly problem?: string;
  readonly origin: string;
  readonly displayName?: string;
  readonly leader?: string;
  readonly incarnation?: number;
  readonly routers: number;
  readonly unownedShards?: number;
  readonly lag: StageLag;
  readonly usage: {
    readonly rates: Readonly<Record<string, number>>;
    readonly usage: { readonly gauges?: Readonly<Record<string, number>> };
  };
  readonly quotas: readonly {
    readonly axis: string;
    readonly limit?: number;
    readonly used?: number;
    readonly refused: number;
  }[];
}

export const sourcesList: Command = {
  flags: ADMIN_FLAGS,
  async run(values, world) {
    const answer = await new AdminClient(values, world).ask('GET', '/sources');
    if (values['json'] === true) world.out(JSON.stringify(answer, undefined, 2));
    else report(answer['sources'] as readonly Summary[], world.out);
    return EXIT.ok;
  },
};

function report(sources: readonly Summary[], out: (text: string) => void): void {
  if (sources.length === 0) return out('There are no sources.');
  const head = [
    'source',
    'status',
    'declared',
    'changes',
    'requests',
    'lag',
    'shapes',
    'waiting',
    'wal kept',
    'problem',
  ];
  const rows = sources.map(({ id, status, origin, problem = '', lag: { totalMs }, usage: { rates, usage } }) => {
    const { gauges = {} } = usage;
    return [
      ...[id, status, origin, rateText(rates['changes']), rateText(rates['requests'])],
      ...[
        totalMs === undefined ? '-' : durationText(totalMs),
        numberText(gauges['shapes']),
        numberText(gauges['parked']),
      ],
      ...[gauges['retainedWalBytes'] === undefined ? '-' : sizeText(gauges['retainedWalBytes']), problem],
    ];
  });
  out(table([head, ...rows]));
}
