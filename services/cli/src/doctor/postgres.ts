import type { DirectSight, QuerySight, ServerSight } from '@shapecast/change-source';
import { namesText } from '../output/quantities.ts';
import { judgeClock } from './clock.ts';
import { failureOf } from './failure.ts';
import { fail, ok, warn, type Finding } from './finding.ts';
import { judgePublication } from './publication.ts';
import { judgeSlot } from './slot.ts';

/** What the settings say about a source. */
export interface PostgresSettings {
  readonly slotName: string;
  readonly publicationName: string;
  readonly manualPublishing: boolean;
  /** The query URL is another one than the direct one. */
  readonly ownQueryUrl: boolean;
}

const OLDEST = 14;
const NEWEST = 18;
/** Releases before these change publications wrongly while transactions are open (docs/postgres.md). */
const FIXED_IN: Readonly<Record<number, number>> = { 14: 18, 15: 13, 16: 9, 17: 5 };

/** Everything that the direct URL shows, but for whether it can be connected to. */
export function judgeDirect(sight: DirectSight, settings: PostgresSettings): readonly Finding[] {
  return [
    ok('pg.reachable', `Postgres answers as role ${sight.role.name} on database ${sight.server.database}.`),
    judgeVersion(sight.server),
    sight.server.standby
      ? fail('pg.primary', 'The database server is a standby.', 'Point DATABASE_URL at the primary.')
      : ok('pg.primary', 'The server is a primary.'),
    judgeWalLevel(sight.server),
    judgeCreate(sight, settings),
    judgeGrants(sight),
    ...judgeRoom(sight),
    ...judgePublication(sight.publication, settings),
    ...judgeSlot(sight, settings),
    judgeClock('pg.clock', 'Postgres', sight.clock),
  ];
}

/** What keeps a connection from being made, or a look from being taken, in the words of docs/troubleshooting.md. */
export function judgeUnreachable(id: 'pg.reachable' | 'pg.query_url' | 'pg.replication', error: unknown): Finding {
  const { message, kind } = failureOf(error);
  const next = REMEDIES.get(kind) ?? 'See "Errors of the database" in docs/troubleshooting.md.';
  return fail(id, message, next);
}

const REMEDIES: ReadonlyMap<string | undefined, string> = new Map([
  ['insufficient_privileges', 'Run ALTER ROLE … WITH REPLICATION, or on RDS GRANT rds_replication TO ….'],
  ['invalid_username_or_password', 'Correct user and password in the URL; special characters are percent-encoded.'],
  [
    'authorization_failure',
    'Add a line for the role to pg_hba.conf; a WAL sender counts as a connection to the database.',
  ],
  ['connection_refused', 'Start Postgres, or correct host and port of the URL.'],
  ['connection_timeout', 'Open the firewall, or set ELECTRIC_DATABASE_USE_IPV6 if the address is an IPv6 one.'],
  ['nxdomain', 'Correct the host name of the URL.'],
  ['database_does_not_exist', 'Create the database, or correct its name in the URL.'],
  ['insufficient_resources', 'Raise max_connections or max_wal_senders, or lower ELECTRIC_DB_POOL_SIZE.'],
  ['syntax_error', 'DATABASE_URL must not lead through a pooler: put that into ELECTRIC_POOLED_DATABASE_URL.'],
  ['ssl_connection_required', 'Remove sslmode=disable from the URL.'],
]);

function judgeVersion({ version, versionNumber }: ServerSight): Finding {
  const major = Math.floor(versionNumber / 10_000);
  const minor = versionNumber % 10_000;
  if (major < OLDEST) {
    return fail('pg.version', `Postgres ${version} is too old.`, `Upgrade to Postgres ${OLDEST} or later.`);
  }
  const fixed = FIXED_IN[major] ?? 0;
  if (minor < fixed) {
    const what = `Postgres ${version} may lose changes of tables that are published while transactions are open.`;
    return warn('pg.version', what, `Update to ${major}.${fixed} or later.`);
  }
  if (major > NEWEST) {
    const what = `Postgres ${version} is newer than what Shapecast was tested with.`;
    return warn('pg.version', what, `Use Postgres ${OLDEST} to ${NEWEST} until it was.`);
  }
  return ok('pg.version', `Postgres ${version}.`);
}

function judgeWalLevel({ walLevel }: ServerSight): Finding {
  if (walLevel === 'logical') return ok('pg.wal_level', 'wal_level is logical.');
  const next =
    'Set wal_level = logical and restart Postgres; hosted databases have a switch such as rds.logical_replication.';
  return fail('pg.wal_level', `wal_level is ${walLevel}.`, next);
}

/** Only what Shapecast has to do itself is asked of the role. */
function judgeCreate({ publication, role, server }: DirectSight, settings: PostgresSettings): Finding {
  const { manualPublishing, publicationName } = settings;
  if (manualPublishing) return ok('pg.create', 'Tables are published by hand, so the role need not alter anything.');
  if (publication?.owned === true) return ok('pg.create', `Role ${role.name} may alter the publication.`);
  if (publication !== undefined) {
    const what = `Publication "${publicationName}" is not owned by the provided user`;
    const next = `Run ALTER PUBLICATION ${publicationName} OWNER TO ${role.name}, or publish by hand with ELECTRIC_MANUAL_TABLE_PUBLISHING=true.`;
    return fail('pg.create', `${what}.`, next);
  }
  if (role.mayCreate) return ok('pg.create', `Role ${role.name} may create the publication.`);
  const what = `Role ${role.name} may not create publications in database ${server.database}.`;
  const next = `Run GRANT CREATE ON DATABASE ${server.database} TO ${role.name}, or publish by hand with ELECTRIC_MANUAL_TABLE_PUBLISHING=true.`;
  return fail('pg.create', what, next);
}

function judgeGrants({ role: { name, missingGrants } }: DirectSight): Finding {
  if (missingGrants.length === 0) return ok('pg.grants', `Role ${name} has what is good to have.`);
  const next = `Run ${missingGrants.map((grant) => `GRANT ${grant} TO ${name}`).join('; ')}.`;
  return warn('pg.grants', `Role ${name} lacks what is good to have: ${missingGrants.join(', ')}.`, next);
}

function judgeRoom({ room, slot, lockHolder }: DirectSight): readonly Finding[] {
  const { maxReplicationSlots, replicationSlots, maxWalSenders, walSenders } = room;
  // A source that is not set up yet cannot do without.
  const slots = `${replicationSlots} of ${maxReplicationSlots} replication slots are in use.`;
  const senders = `${walSenders} of ${maxWalSenders} WAL senders are in use.`;
  const raiseSlots = 'Raise max_replication_slots, or drop slots that nobody needs.';
  const raiseSenders = 'Raise max_wal_senders, so that a successor can connect.';
  const noSlot = replicationSlots >= maxReplicationSlots;
  const noSender = walSenders >= maxWalSenders;
  return [
    noSlot ? (slot ? warn : fail)('pg.slots', slots, raiseSlots) : ok('pg.slots', slots),
    noSender ? (lockHolder ? warn : fail)('pg.wal_senders', senders, raiseSenders) : ok('pg.wal_senders', senders),
    room.maxSlotWalKeepSize < 0
      ? warn(
          'pg.slot_wal_keep',
          'max_slot_wal_keep_size is not set: a consumer that stays away can fill the disk.',
          'Set it to 10 to 50 GB.',
        )
      : ok('pg.slot_wal_keep', `max_slot_wal_keep_size is ${room.maxSlotWalKeepSize} MB.`),
    room.walSenderTimeout === 0
      ? warn(
          'pg.wal_sender_timeout',
          'wal_sender_timeout is 0: Postgres does not notice a consumer that is gone.',
          'Set it to 60s.',
        )
      : ok('pg.wal_sender_timeout', `wal_sender_timeout is ${room.walSenderTimeout} ms.`),
    judgeIdleTimeout(room.idleReplicationSlotTimeout),
  ];
}

function judgeIdleTimeout(seconds: number | undefined): Finding {
  if (seconds === undefined) return ok('pg.idle_slot_timeout', 'This version has no idle_replication_slot_timeout.');
  if (seconds === 0) return ok('pg.idle_slot_timeout', 'idle_replication_slot_timeout is off.');
  const what = `idle_replication_slot_timeout is ${seconds} s: after an outage that long every shape starts over.`;
  return warn('pg.idle_slot_timeout', what, 'Turn it off, or make it longer than any outage you want to survive.');
}

/** What the query URL shows. */
export function judgeQuery(query: QuerySight, direct: DirectSight, settings: PostgresSettings): readonly Finding[] {
  const count = direct.publication?.tables.length ?? 0;
  const { role, unreadable, filtered } = query;
  const tables = count === 1 ? 'the published table' : `all ${count} published tables`;
  const none = direct.publication === undefined || count === 0;
  return [
    judgeSameDatabase(query, direct, settings),
    none
      ? ok('pg.privileges', 'No table is published yet.')
      : unreadable.length === 0
        ? ok('pg.privileges', `Role ${role.name} may read ${tables}.`)
        : fail(
            'pg.privileges',
            `Role ${role.name} may not read ${namesText(unreadable)}.`,
            `Run GRANT USAGE ON SCHEMA … TO ${role.name} and GRANT SELECT ON … TO ${role.name}.`,
          ),
    filtered.length === 0
      ? ok('pg.row_security', `No policies filter what role ${role.name} reads.`)
      : warn(
          'pg.row_security',
          `Row-level security filters what snapshots of ${namesText(filtered)} show, but not the changes.`,
          'Use a role that owns the tables or has BYPASSRLS, and put conditions into where clauses.',
        ),
  ];
}

function judgeSameDatabase({ server, systemId }: QuerySight, direct: DirectSight, settings: PostgresSettings): Finding {
  if (!settings.ownQueryUrl) return ok('pg.query_url', 'Queries go to DATABASE_URL, too.');
  const correct =
    'Correct ELECTRIC_POOLED_DATABASE_URL: it has to reach the same primary and database as DATABASE_URL.';
  if (server.standby) return fail('pg.query_url', 'The query URL reaches a standby.', correct);
  const known = systemId !== undefined && direct.systemId !== undefined;
  if (server.database !== direct.server.database || (known && systemId !== direct.systemId)) {
    return fail('pg.query_url', 'The query URL reaches another database than the direct URL.', correct);
  }
  if (known) return ok('pg.query_url', 'Both URLs reach the same database.');
  const what = 'Whether the query URL reaches the same server as the direct URL cannot be checked.';
  return warn('pg.query_url', what, 'Run GRANT EXECUTE ON FUNCTION pg_control_system() TO both roles.');
}

/** A replication connection was opened and closed again. */
export function judgeReplication({ role }: DirectSight): Finding {
  return ok('pg.replication', `Role ${role.name} may open replication connections.`);
}
