import { isShapecastError } from '@shapecast/errors';
import { BUCKETS, introspectSubject, tableKey, type Messaging } from '@shapecast/messaging';
import type { RelationInfo } from '@shapecast/shape';

const ASK_MS = 3_000;

interface Table {
  readonly schema: string;
  readonly name: string;
}

/** What tables of a source are like. */
export class Tables {
  readonly #messaging: Messaging;

  constructor(messaging: Messaging) {
    this.#messaging = messaging;
  }

  /** As a router last saw it; undefined when none ever did. */
  async remembered(source: string, { schema, name }: Table): Promise<RelationInfo | undefined> {
    const registry = await this.#messaging.registries.open<RelationInfo>(BUCKETS.tables.name);
    return (await registry.get(tableKey(source, schema, name)))?.value;
  }

  /** As the catalog shows it now, or, while no router can say, as it was last seen. Undefined: there is no such table. */
  async current(source: string, table: Table, signal: AbortSignal): Promise<RelationInfo | undefined> {
    const question = { schema: table.schema, table: table.name };
    const options = { timeoutMs: ASK_MS, signal };
    try {
      const answer = await this.#messaging.rpc.call(introspectSubject(source), question, options);
      return (answer as RelationInfo | null) ?? undefined;
    } catch (error) {
      if (!isShapecastError(error) || !error.retryable) throw error;
      const seen = await this.remembered(source, table);
      if (seen === undefined) throw error;
      return seen;
    }
  }
}
