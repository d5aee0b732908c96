import { styleText } from 'node:util';
import { EXIT, secondsOf, textOf, urlOf, WrongUsage, type Command, type World } from '../command.ts';
import { examine } from '../doctor/examine.ts';
import type { Finding, Status } from '../doctor/finding.ts';
import { table } from '../output/table.ts';
import { SOURCES_FLAGS, worldOfSource } from '../sources/one-source.ts';

const TIMEOUT_MS = 15_000;
const SERVERS = ['DATABASE_URL', 'SHAPECAST_NATS_URL', 'SHAPECAST_REDIS_URL'];

export const doctor: Command = {
  flags: {
    api: { type: 'string', value: 'URL', about: 'Address of the API, to check it, too.' },
    json: { type: 'boolean', about: 'The findings as JSON.' },
    timeout: { type: 'string', value: 'SECONDS', about: 'How long each server may take; 15 unless given.' },
    ...SOURCES_FLAGS,
  },
  async run(values, given) {
    const world = worldOfSource(values, given);
    const apiUrl = urlOf(values, 'api');
    const timeoutMs = secondsOf(values, 'timeout', TIMEOUT_MS);
    if (apiUrl === undefined && SERVERS.every((name) => !world.env[name])) {
      throw new WrongUsage(`There is nothing to check: set ${SERVERS.join(', ')}, or give --api.`);
    }
    const findings = await examine(world, { apiUrl, sourceId: textOf(values, 'source-id'), timeoutMs });
    const failed = findings.some(({ status }) => status === 'fail');
    if (values['json'] === true) world.out(JSON.stringify({ ok: !failed, findings }, undefined, 2));
    else report(findings, world);
    return failed ? EXIT.failed : EXIT.ok;
  },
};

const COLOURS = { ok: 'green', warn: 'yellow', fail: 'red', skipped: 'gray' } as const satisfies Record<Status, string>;

/** What is not checked because a server is away would bury what is: it is only counted. */
function report(findings: readonly Finding[], { out, colours }: World): void {
  const shown = findings.filter(({ status }) => status !== 'skipped');
  const lines = table(shown.map(({ status, id, message }) => [status, id, message])).split('\n');
  for (const [i, { status, next }] of shown.entries()) {
    const line = lines[i] ?? '';
    out(
      colours
        ? styleText(COLOURS[status], line.slice(0, status.length), { validateStream: false }) +
            line.slice(status.length)
        : line,
    );
    if (next !== undefined) out(`      -> ${next}`);
  }
  const skippedReasons = Map.groupBy(
    findings.filter(({ status }) => status === 'skipped'),
    ({ id, message }) => `${id.split('.')[0]}: ${message}`,
  );
  for (const [reason, all] of skippedReasons)
    out(`skipped  ${reason} (${all.length === 1 ? all[0]?.id : `${all.length} checks`})`);
  const count = (status: Status) => findings.filter((finding) => finding.status === status).length;
  out(`\n${count('ok')} ok, ${count('warn')} warnings, ${count('fail')} failures, ${count('skipped')} skipped`);
}
