import { ADMIN_FLAGS, AdminClient, sourcePath } from '../admin/admin-client.ts';
import { EXIT, requiredArgument, type Command } from '../command.ts';
import { table } from '../output/table.ts';
import { SOURCE_FLAG } from '../sources/one-source.ts';

/** Postgres may work on the query for 30 s, and the shard may take as long to come to what it shows. */
const TIMEOUT_MS = 120_000;

/** What of a check is used here. */
interface Check {
  readonly consistent: boolean;
  readonly snapshot: { readonly lsn: string };
  readonly rows: { readonly database: number; readonly log: number };
  readonly differences: { readonly missing: number; readonly extra: number; readonly changed: number };
  readonly keys: readonly { readonly key: string; readonly kind: string; readonly columns?: readonly string[] }[];
}

export const shapesCheck: Command = {
  flags: { ...SOURCE_FLAG, ...ADMIN_FLAGS },
  argument: 'HANDLE',
  async run(values, world) {
    const handle = requiredArgument(values, 'HANDLE');
    const admin = new AdminClient(values, world);
    const path = sourcePath(await admin.sourceId(values), `/shapes/${encodeURIComponent(handle)}/check`);
    const answer = await admin.ask('POST', path, undefined, TIMEOUT_MS);
    const check = answer as unknown as Check;
    if (values['json'] === true) world.out(JSON.stringify(answer, undefined, 2));
    else report(check, world.out);
    return check.consistent ? EXIT.ok : EXIT.failed;
  },
};

function report({ consistent, snapshot, rows, differences, keys }: Check, out: (text: string) => void): void {
  if (consistent) return out(`The shape is what the database says: ${rows.database} rows at ${snapshot.lsn}.`);
  const { missing, extra, changed } = differences;
  out(`The shape is not what the database says at ${snapshot.lsn}.`);
  out(
    `${rows.database} rows in the database, ${rows.log} in the log: ${missing} missing, ${extra} too many, ${changed} different.`,
  );
  out(
    `\n${table([['key', 'row is', 'columns'], ...keys.map(({ key, kind, columns = [] }) => [key, kind, columns.join(', ')])])}`,
  );
  const rest = missing + extra + changed - keys.length;
  if (rest > 0) out(`and ${rest} more`);
}
