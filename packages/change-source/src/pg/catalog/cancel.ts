import pg from 'pg';

/** What `pg` has and its types do not name. */
interface Cancellable {
  readonly processID: number | null;
  readonly secretKey: number | null;
  readonly host: string;
  readonly port: number;
  readonly ssl: boolean | object;
}

interface CancelConnection extends pg.Connection {
  connect(port: number, host: string): void;
  requestSsl(): void;
  cancel(processId: number, secretKey: number): void;
}

/**
 * Asks the server to cancel what this connection runs, over a connection of its own (Postgres manual, "Canceling Requests in
 * Progress"). It reaches the right backend through a pooler as well, unlike `pg_cancel_backend`. Whether it came in time shows
 * in how the query ends; failing to ask changes nothing, the query then simply runs on.
 */
export function requestCancel(client: pg.PoolClient): void {
  const { processID, secretKey, host, port, ssl } = client as unknown as Cancellable;
  if (processID === null || secretKey === null) return;
  const connection = new pg.Connection({ ssl }) as CancelConnection;
  const send = () => connection.cancel(processID, secretKey);
  connection.on('connect', () => (ssl ? connection.requestSsl() : send()));
  connection.on('sslconnect', send);
  connection.on('error', () => {});
  connection.connect(port, host);
}
