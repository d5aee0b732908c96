import type { PublicationInspection, TableInspection } from '@shapecast/change-source';
import { namesText } from '../output/quantities.ts';
import { fail, ok, skipped, warn, type Finding } from './finding.ts';

interface PublicationSettings {
  readonly publicationName: string;
  readonly manualPublishing: boolean;
}

export function judgePublication(
  publication: PublicationInspection | undefined,
  settings: PublicationSettings,
): readonly Finding[] {
  const { publicationName: name, manualPublishing } = settings;
  if (publication === undefined) {
    const nothing = 'Not checked: there is no publication.';
    return [
      manualPublishing
        ? fail(
            'pg.publication',
            `There is no publication "${name}", and it is to be made by hand.`,
            `Run CREATE PUBLICATION ${name}, and ALTER PUBLICATION ${name} ADD TABLE … for each table.`,
          )
        : ok('pg.publication', `There is no publication "${name}" yet: the replicator makes it.`),
      skipped('pg.tables', nothing),
      skipped('pg.replica_identity', nothing),
    ];
  }
  return [
    judgeParameters(publication, settings),
    judgeTables(publication, name),
    judgeIdentity(publication, manualPublishing),
  ];
}

function judgeParameters(publication: PublicationInspection, { publicationName: name, ...rest }: PublicationSettings) {
  const { allOperations, viaRoot, generatedColumns, tables, allTables, owned } = publication;
  if (!allOperations) {
    const what = `Publication "${name}" does not publish all required operations: INSERT, UPDATE, DELETE, TRUNCATE`;
    const next = `Run ALTER PUBLICATION ${name} SET (publish = 'insert, update, delete, truncate'); what it left out is lost, so every shape starts over.`;
    return fail('pg.publication', `${what}.`, next);
  }
  if (viaRoot) {
    const what = `Publication "${name}" publishes partitions as their root`;
    return fail(
      'pg.publication',
      `${what}.`,
      `Run ALTER PUBLICATION ${name} SET (publish_via_partition_root = false).`,
    );
  }
  const by = rest.manualPublishing || !owned;
  if (generatedColumns === false && by) {
    const what = `Publication "${name}" does not publish generated columns`;
    const next = `Run ALTER PUBLICATION ${name} SET (publish_generated_columns = stored) if tables with such columns have shapes.`;
    return warn('pg.publication', `${what}.`, next);
  }
  const many = allTables ? 'all tables' : tables.length === 1 ? '1 table' : `${tables.length} tables`;
  return ok('pg.publication', `Publication "${name}" publishes ${many}.`);
}

/** What Postgres or the publication keep from being followed; the replica identity is a check of its own. */
function judgeTables({ tables }: PublicationInspection, name: string): Finding {
  const restricted = tables.filter((table) => table.restricted);
  if (restricted.length > 0) {
    const what = `The publication "${name}" has row filters or column lists on ${textOf(restricted)}: changes would be missing.`;
    const next = `Drop these tables from it and add them without: ALTER PUBLICATION ${name} DROP TABLE …, then ADD TABLE ….`;
    return fail('pg.tables', what, next);
  }
  const broken = tables.find(
    ({ problem }) => problem !== undefined && !problem.endsWith('replica identity set to FULL'),
  );
  if (broken?.problem !== undefined) {
    return fail('pg.tables', `${broken.problem}.`, 'See "Publication and tables" in docs/troubleshooting.md.');
  }
  const none = tables.length === 0;
  return ok('pg.tables', none ? 'No table is published yet.' : 'All published tables can be followed.');
}

/** Where Shapecast may, it sets the identity itself when a shape needs the table. */
function judgeIdentity({ tables, owned, allTables }: PublicationInspection, manual: boolean): Finding {
  const without = tables.filter(({ withoutFullIdentity }) => withoutFullIdentity.length > 0);
  if (without.length === 0) {
    return ok('pg.replica_identity', 'The replica identity of all published tables is FULL.');
  }
  const what = `The replica identity of ${namesText(without.flatMap((table) => table.withoutFullIdentity))} is not FULL.`;
  const next = 'Run ALTER TABLE … REPLICA IDENTITY FULL on each, and on every partition.';
  const ours = !manual && owned && without.every((table) => table.owned);
  if (ours) return warn('pg.replica_identity', what, `It is set when a shape needs the table; to do it now: ${next}`);
  // In a publication of everything are tables that nobody wants shapes of.
  return (allTables || without.every(({ listed }) => !listed) ? warn : fail)('pg.replica_identity', what, next);
}

function textOf(tables: readonly TableInspection[]): string {
  return namesText(tables.map(({ schema, name }) => `${schema}.${name}`));
}
