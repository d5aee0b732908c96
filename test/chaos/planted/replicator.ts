import type { ReplicationSession } from '@shapecast/change-source';
import { systemClock } from '@shapecast/service-kit';
import { planted } from './plant.ts';

/** The replicator over a session with Postgres that does not keep its promises. */
const { PgReplicationSession } = (await import(
  new URL('../../../packages/change-source/src/pg/replication/pg-replication-session.ts', import.meta.url).href
)) as { readonly PgReplicationSession: { readonly prototype: ReplicationSession } };
const session = PgReplicationSession.prototype;
// The receiver is the one that calls.
// eslint-disable-next-line @typescript-eslint/unbound-method
const stream = session.stream;

session.stream = async function (handler, signal) {
  const misled: typeof handler = {
    onIdle: (walEnd) => handler.onIdle(walEnd),
    onRelation: (relation) => handler.onRelation?.(relation),
    onParts: async (parts) => {
      const plant = planted();
      const last = parts.at(-1);
      if (plant === 'confirm early' && last !== undefined) {
        this.confirm(last.endLsn);
        // Long enough for somebody to look.
        await systemClock.sleep(500);
      }
      if (plant === 'lose a transaction')
        return handler.onParts(parts.filter(({ begin, commit }) => !begin || !commit));
      return handler.onParts(parts);
    },
  };
  return stream.call(this, misled, signal);
};

await import(new URL('../../../services/replicator/src/main.ts', import.meta.url).href);
