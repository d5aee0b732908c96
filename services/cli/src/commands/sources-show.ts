import { ADMIN_FLAGS, AdminClient, sourcePath } from '../admin/admin-client.ts';
import { EXIT, requiredArgument, type Command } from '../command.ts';
import { durationText, numberText, rateText, sizeText } from '../output/quantities.ts';
import { table } from '../output/table.ts';
import type { StageLag, Summary } from './sources-list.ts';

/** What of the details is used here. */
interface Details extends Summary {
  readonly labels: Readonly<Record<string, string>>;
  readonly changedAt?: string;
  readonly database?: { readonly host: string; readonly port: number; readonly database: string };
  readonly access?: { readonly secrets: number; readonly tokens: boolean; readonly insecure: boolean };
  readonly conditions: Readonly<Record<string, { readonly ok: boolean; readonly error?: string }>>;
  readonly stream?: { readonly firstSeq: number; readonly lastSeq: number; readonly bytes: number };
  readonly shards: readonly {
    readonly shard: number;
    readonly router?: string;
    readonly behind?: number;
    readonly watermark?: string;
  }[];
  readonly lagProblem?: string;
  readonly processes: readonly { readonly process: string; readonly role: string; readonly uptimeMs: number }[];
}

export const sourcesShow: Command = {
  flags: ADMIN_FLAGS,
  argument: 'ID',
  async run(values, world) {
    const path = sourcePath(requiredArgument(values, 'ID'));
    const answer = await new AdminClient(values, world).ask('GET', path);
    if (values['json'] === true) world.out(JSON.stringify(answer, undefined, 2));
    else report(answer as unknown as Details, world.out);
    return EXIT.ok;
  },
};

function report(source: Details, out: (text: string) => void): void {
  out(table(facts(source)));
  const failing = Object.entries(source.conditions).filter(([, { ok }]) => !ok);
  if (failing.length > 0) {
    out(`\n${table([['missing', 'why'], ...failing.map(([name, { error = '' }]) => [name, error])])}`);
  }
  if (source.quotas.length > 0) {
    const rows = source.quotas.map(({ axis, limit, used, refused }) => [
      axis,
      ...[limit, used, refused].map(numberText),
    ]);
    out(`\n${table([['quota', 'limit', 'used', 'refused'], ...rows])}`);
  }
  if (source.shards.length > 0) {
    const rows = source.shards.map(({ shard, router = '-', behind, watermark = '-' }) => [
      ...[String(shard), router, numberText(behind), watermark],
    ]);
    out(`\n${table([['shard', 'router', 'behind', 'up to'], ...rows])}`);
  }
  if (source.lagProblem !== undefined) out(`\n${source.lagProblem}`);
  if (source.processes.length === 0) return;
  const rows = source.processes.map(({ process, role, uptimeMs }) => [process, role, durationText(uptimeMs)]);
  out(`\n${table([['process', 'role', 'up'], ...rows])}`);
}

function facts({ usage: { rates, usage }, ...source }: Details): readonly (readonly string[])[] {
  const { gauges = {} } = usage;
  const size = (name: string) => (gauges[name] === undefined ? '-' : sizeText(gauges[name]));
  const { database, access, stream } = source;
  return [
    ['source', source.id],
    ['status', source.problem === undefined ? source.status : `${source.status}: ${source.problem}`],
    ['declared by', source.origin],
    ...(source.displayName === undefined ? [] : [['name', source.displayName]]),
    ...Object.entries(source.labels).map(([name, value]) => [`label ${name}`, value]),
    ...(database === undefined ? [] : [['database', `${database.host}:${database.port}/${database.database}`]]),
    ...(access === undefined ? [] : [['let in', accessText(access)]]),
    ['leader', source.leader ?? '-'],
    ['incarnation', numberText(source.incarnation)],
    ['changes', rateText(rates['changes'])],
    ['entries', rateText(rates['entries'])],
    ['requests', `${rateText(rates['requests'])}, ${numberText(gauges['parked'])} waiting`],
    ['lag', stagesText(source.lag)],
    ['shapes', numberText(gauges['shapes'])],
    ['redis', size('redisBytes')],
    ['wal kept', size('retainedWalBytes')],
    ...(stream === undefined
      ? []
      : [['tx stream', `${stream.lastSeq - stream.firstSeq + 1} records, ${sizeText(stream.bytes)}`]]),
  ];
}

/** Such as `published 40 ms, applied 20 ms, served 5 ms, in all 65 ms`. */
export function stagesText({ publishMs, applyMs, serveMs, totalMs }: StageLag): string {
  const text = (ms: number | undefined) => (ms === undefined ? '-' : durationText(ms));
  return `published ${text(publishMs)}, applied ${text(applyMs)}, served ${text(serveMs)}, in all ${text(totalMs)}`;
}

function accessText({ secrets, tokens, insecure }: NonNullable<Details['access']>): string {
  if (insecure) return 'everybody';
  return [secrets > 0 ? `${secrets} secrets` : '', tokens ? 'signed tokens' : ''].filter(Boolean).join(', ');
}
