import { isShapecastError } from '@shapecast/errors';
import { TableIndex } from '@shapecast/matching';
import {
  definitionKey,
  requestedTable,
  resolveDefinition,
  schemaHeader,
  type Checked,
  type DefinitionParams,
  type FieldErrors,
  type ResolvedDefinition,
  type TableName,
} from '@shapecast/protocol';
import { definitionDigest, type RelationInfo } from '@shapecast/shape';
import type { WhereClause } from '@shapecast/where';
import type { RelationCatalog } from './relation-catalog.ts';

const MAX_DEFINITIONS = 10_000;
/** A table looked up this recently counts as looked up for this request: bursts of new shapes ask once. */
const VERIFIED_AGE_MS = 250;

/** The shape a request means. Shared between requests; never changed. */
export interface RequestedShape extends Omit<ResolvedDefinition, 'clause'> {
  readonly digest: string;
  /** The table as it was when the request was understood. */
  readonly relation: RelationInfo;
  /** Value of `electric-schema`. */
  readonly schema: string;
  /** Value of `electric-where-index` (spec W 9.11): how routers find the shape; absent without where clause. */
  readonly whereIndex?: string;
}

/**
 * How current the table has to be: `known` takes what this pod remembers (live requests repeat every few seconds, and a
 * table that changed rotates the shape anyway), `current` has the catalog's ttl, `verified` is asked for now.
 */
export type Freshness = 'known' | 'current' | 'verified';

export type DefinitionOutcome =
  | { readonly kind: 'shape'; readonly shape: RequestedShape }
  | { readonly kind: 'refused'; readonly errors: FieldErrors }
  /** The catalog cannot be asked, and the table as it is remembered does not do. */
  | { readonly kind: 'unavailable'; readonly cause: unknown };

interface Remembered {
  readonly relation: RelationInfo;
  readonly result: Checked<RequestedShape>;
}

/** Turns definition parameters into shapes, and remembers them: every long poll sends its definition again. */
export class Definitions {
  readonly #catalog: RelationCatalog;
  readonly #remembered = new Map<string, Remembered>();
  /** Without shapes: they only explain how a clause would be indexed. */
  readonly #indexes = new WeakMap<RelationInfo, TableIndex<never>>();

  constructor(catalog: RelationCatalog) {
    this.#catalog = catalog;
  }

  async resolve(params: DefinitionParams, freshness: Freshness): Promise<DefinitionOutcome> {
    const table = requestedTable(params);
    if (!table.ok) return { kind: 'refused', errors: table.errors };
    const known = this.#catalog.known(table.value);
    try {
      if (freshness === 'known' && known !== undefined) {
        const result = this.#shape(params, table.value, known);
        if (result.ok) return { kind: 'shape', shape: result.value };
      }
      let relation = await this.#catalog.lookup(table.value, freshness === 'verified' ? VERIFIED_AGE_MS : undefined);
      let result = this.#shape(params, table.value, relation);
      if (!result.ok && relation !== undefined) {
        // Perhaps the table changed within the ttl: a refusal is final for clients, so look again before giving one.
        relation = await this.#catalog.lookup(table.value, -1);
        result = this.#shape(params, table.value, relation);
      }
      return result.ok ? { kind: 'shape', shape: result.value } : { kind: 'refused', errors: result.errors };
    } catch (cause) {
      if (!isShapecastError(cause)) throw cause;
      // Shapes that exist stay readable while the source is away (O 1.3.1). New ones, and refusals, need a table that is current.
      const relation = freshness === 'verified' ? undefined : await this.#catalog.remembered(table.value);
      const result = relation && this.#shape(params, table.value, relation);
      return result?.ok === true ? { kind: 'shape', shape: result.value } : { kind: 'unavailable', cause };
    }
  }

  /** Whoever asks for more than `known` from now on gets what the catalog shows then. */
  distrust(table: TableName): void {
    this.#catalog.distrust(table);
  }

  #shape(params: DefinitionParams, table: TableName, relation: RelationInfo | undefined): Checked<RequestedShape> {
    if (relation === undefined) return this.#build(params, table, relation);
    const key = definitionKey(params);
    const remembered = this.#remembered.get(key);
    if (remembered?.relation === relation) return remembered.result;
    const result = this.#build(params, table, relation);
    this.#remembered.delete(key);
    if (this.#remembered.size >= MAX_DEFINITIONS) {
      this.#remembered.delete(this.#remembered.keys().next().value as string);
    }
    this.#remembered.set(key, { relation, result });
    return result;
  }

  #build(params: DefinitionParams, table: TableName, relation: RelationInfo | undefined): Checked<RequestedShape> {
    const resolved = resolveDefinition(params, table, relation);
    if (!resolved.ok || relation === undefined) return resolved as Checked<RequestedShape>;
    const { definition, fingerprint, clause } = resolved.value;
    return {
      ok: true,
      value: {
        definition,
        fingerprint,
        relation,
        digest: definitionDigest(definition),
        schema: schemaHeader(relation, definition.columns),
        ...(clause && { whereIndex: this.#whereIndex(clause, relation) }),
      },
    };
  }

  #whereIndex(clause: WhereClause, relation: RelationInfo): string {
    let index = this.#indexes.get(relation);
    if (index === undefined) {
      index = new TableIndex(relation.columns);
      this.#indexes.set(relation, index);
    }
    const { kind } = index.explain(clause);
    return kind === 'scan' ? 'none' : kind;
  }
}
