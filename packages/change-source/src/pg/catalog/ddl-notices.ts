import type pg from 'pg';
import { abortReason, type Clock } from '@shapecast/service-kit';

/** Both stand in `deploy/postgres/ddl-trigger.sql`, which a test installs. */
const CHANNEL = 'shapecast_ddl';
const TRIGGER = 'shapecast_ddl';

/** A connection that is gone without a word is noticed by asking it something. */
const PROBE_MS = 10_000;

/** Whether the event trigger is there and not switched off. */
const IS_INSTALLED = `select exists (select from pg_event_trigger where evtname = '${TRIGGER}' and evtenabled <> 'D') as installed`;

/**
 * Listens on this connection until `signal` aborts, which rejects: the connection is then used up. Resolves when there is no
 * trigger that could tell us anything, also when it is taken away.
 */
export async function listenForDdl(
  client: pg.PoolClient,
  clock: Clock,
  onDdl: () => void,
  signal: AbortSignal,
): Promise<void> {
  const ended = new AbortController();
  const onEnd = () => ended.abort(new Error('the connection that listens ended'));
  client.once('end', onEnd);
  client.on('notification', onDdl);
  const until = AbortSignal.any([signal, ended.signal]);
  try {
    if (!(await isInstalled(client))) return;
    await client.query(`listen ${CHANNEL}`);
    onDdl();
    do await clock.sleep(PROBE_MS, until);
    while (await isInstalled(client));
    await client.query(`unlisten ${CHANNEL}`);
  } catch (error) {
    throw until.aborted ? abortReason(until) : error;
  } finally {
    client.off('end', onEnd);
    client.off('notification', onDdl);
  }
}

async function isInstalled(client: pg.PoolClient): Promise<boolean> {
  const { rows } = await client.query<{ installed: string | boolean }>(IS_INSTALLED);
  return rows[0]?.installed === 't' || rows[0]?.installed === true;
}
