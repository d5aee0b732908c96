import pg from 'pg';
import { startCluster, type Cluster } from '@shapecast/testkit';
import { Chance } from '../support/chance.ts';
import { encode, generate, type Attack } from './generator.ts';
import { judge } from './judge.ts';
import { RawConnection, type RawAnswer } from './raw-connection.ts';
import { TABLES, declarationOf, makeTenants, type Tenant } from './tenants.ts';

export interface CrossTenantOptions {
  readonly seed: number;
  readonly requests: number;
  readonly connections?: number;
  readonly onProgress?: (done: number) => void;
}

export interface CrossTenantReport {
  readonly requests: number;
  readonly seconds: number;
  /** Answers by status. */
  readonly statuses: Readonly<Record<string, number>>;
  /** Requests with nothing of the source that they name, all of them told the same. */
  readonly refusedAlike: number;
  /** Answers with rows of the source that was named, by somebody who may have them. */
  readonly served: number;
  /** At most the first twenty. */
  readonly violations: readonly string[];
}

const MAX_VIOLATIONS = 20;
/** Sent one behind the other without waiting for the first. */
const MOST_AT_ONCE = 4;

/**
 * Sends adversarial requests to an API process with several tenants, whose rows carry their tenant's mark, and looks for anything of a
 * tenant in an answer to somebody who has nothing of it.
 */
export async function runCrossTenant(options: CrossTenantOptions): Promise<CrossTenantReport> {
  const tenants = await makeTenants();
  const cluster = await startCluster({
    routers: 1,
    apis: 1,
    replicators: 1,
    sources: Object.fromEntries(tenants.map((tenant) => [tenant.id, declarationOf(tenant)])),
    env: {
      ELECTRIC_LONG_POLL_TIMEOUT: '50ms',
      SHAPECAST_SSE_TIMEOUT: '50ms',
      SHAPECAST_LOG_LEVEL: 'error',
      SHAPECAST_MAX_CONCURRENT_REQUESTS: '{"initial":10000,"existing":10000}',
      ELECTRIC_TWEAKS_CONN_MAX_REQUESTS: '0',
      ELECTRIC_ENABLE_INTEGRATION_TESTING: 'false',
    },
  });
  try {
    await fill(cluster, tenants);
    // The process itself: what a load balancer refuses is its own affair.
    const { port } = new URL(cluster.process('api-1').url);
    await readOwn(Number(port), tenants);
    return await new Run(Number(port), tenants, options).go();
  } finally {
    await cluster.stop();
  }
}

/** The same tables everywhere, with rows that show whose they are; in one of them a column does, too. */
async function fill(cluster: Cluster, tenants: readonly Tenant[]): Promise<void> {
  for (const { id, mark } of tenants) {
    const { databaseUrl } = cluster.sources.find((source) => source.id === id) as Cluster['sources'][number];
    const client = new pg.Client({ connectionString: databaseUrl });
    await client.connect();
    try {
      for (const table of TABLES) {
        const marked = table === 'others' ? '' : `, col_${mark} text`;
        await client.query(`create table ${table} (id int primary key, tenant text, note text${marked})`);
        await client.query(`insert into ${table} select i, 't' || (1 + i % 2), '${mark}' from generate_series(1, 6) i`);
      }
    } finally {
      await client.end();
    }
  }
}

/** Every tenant reads its own shapes, so that there is something to get at. */
async function readOwn(port: number, tenants: readonly Tenant[]): Promise<void> {
  for (const tenant of tenants) {
    if (tenant.paused) continue;
    for (const table of tenant.secrets.length > 0 || tenant.open ? TABLES : (['items'] as const)) {
      const secret = tenant.secrets[0];
      const proof = secret === undefined ? '' : `&secret=${encodeURIComponent(secret)}`;
      const url = `http://127.0.0.1:${port}/v1/shape?table=${table}&offset=-1&source_id=${tenant.id}${proof}`;
      const token = tenant.tokens[0]?.text;
      const headers = secret === undefined && token !== undefined ? { authorization: `Bearer ${token}` } : {};
      const response = await fetch(url, { headers });
      const text = await response.text();
      if (!text.includes(tenant.mark)) throw new Error(`${tenant.id} cannot be read: ${response.status} ${text}`);
      tenant.handles.add(String(response.headers.get('electric-handle')));
    }
  }
}

class Run {
  readonly #port: number;
  readonly #tenants: readonly Tenant[];
  readonly #options: CrossTenantOptions;
  readonly #chance: Chance;
  readonly #statuses: Record<string, number> = {};
  readonly #violations: string[] = [];
  #sent = 0;
  #refusedAlike = 0;
  #served = 0;

  constructor(port: number, tenants: readonly Tenant[], options: CrossTenantOptions) {
    this.#port = port;
    this.#tenants = tenants;
    this.#options = options;
    this.#chance = new Chance(options.seed);
  }

  async go(): Promise<CrossTenantReport> {
    const connection = new RawConnection(this.#port);
    const ask =
      'GET /v1/shape?table=items&offset=-1&source_id=nobody&secret=x HTTP/1.1\r\nhost: sync.example.com\r\n\r\n';
    const [unknown] = await connection.ask(ask, [false]);
    connection.close();
    if (unknown?.status !== 401) throw new Error('a source that is not there is not refused');
    const began = performance.now();
    const { connections = 32 } = this.#options;
    await Promise.all(Array.from({ length: connections }, () => this.#worker(unknown)));
    return {
      requests: this.#sent,
      seconds: Math.round((performance.now() - began) / 100) / 10,
      statuses: this.#statuses,
      refusedAlike: this.#refusedAlike,
      served: this.#served,
      violations: this.#violations,
    };
  }

  async #worker(unknown: RawAnswer): Promise<void> {
    const connection = new RawConnection(this.#port);
    while (this.#sent < this.#options.requests && this.#violations.length < MAX_VIOLATIONS) {
      const count = 1 + (this.#chance.chance(0.2) ? this.#chance.int(MOST_AT_ONCE) : 0);
      const attacks = Array.from({ length: count }, () => generate(this.#chance, this.#tenants));
      const heads = attacks.map(({ method }) => method === 'HEAD');
      const answers = await connection.ask(attacks.map(encode).join(''), heads);
      // Those behind an answer that ended the connection get none; the first one must have one.
      if (answers.length === 0) this.#violations.push(`no answer\n  ${describe(attacks[0] as Attack)}`);
      for (const [i, answer] of answers.entries()) this.#take(attacks[i] as Attack, answer, unknown);
    }
    connection.close();
  }

  #take(attack: Attack, answer: RawAnswer, unknown: RawAnswer): void {
    this.#sent += 1;
    if (this.#sent % 10_000 === 0) this.#options.onProgress?.(this.#sent);
    this.#statuses[answer.status] = (this.#statuses[answer.status] ?? 0) + 1;
    if (attack.toShapes && attack.right === 'none' && answer.status === 401) this.#refusedAlike += 1;
    if (answer.body.includes(attack.named?.mark ?? '?')) this.#served += 1;
    const problem = judge(attack, answer, this.#tenants, unknown);
    if (problem !== undefined)
      this.#violations.push(`${problem}\n  ${describe(attack)}\n  ${answer.body.slice(0, 300)}`);
  }
}

function describe({ method, target, headers, body }: Attack): string {
  return JSON.stringify({ method, target, headers, body });
}
