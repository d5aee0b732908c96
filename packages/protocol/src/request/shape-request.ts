import { BEFORE_ALL, parseOffset, type LogOffset } from '@shapecast/log';
import { accept, refuse, type Checked, type FieldErrors } from './field-errors.ts';
import { isObject, type Params } from './query-string.ts';

/** The parameters that say which shape is meant, typed but not yet checked against a table. */
export interface DefinitionParams {
  readonly table?: string;
  readonly where?: string;
  readonly params?: Readonly<Record<string, string>>;
  /** Text form, or the list form whose names are taken verbatim (PA-2). */
  readonly columns?: string | readonly string[];
  readonly queryableColumns?: string | readonly string[];
  readonly replica: 'default' | 'full';
  readonly log: 'full' | 'changes_only';
  readonly compaction: boolean;
  /** What may be seen of it. Never from the query: whoever checks the client's token puts it here. */
  readonly restriction?: Restriction;
}

/** A part of a table to which all that is asked of it is limited. */
export interface Restriction {
  readonly where?: string;
  /** Values of `$n` in `where`. */
  readonly params?: Readonly<Record<string, string>>;
  /** Columns that may be selected or referred to. */
  readonly columns?: readonly string[];
}

/** A request to read a shape, past the checks that need neither the table nor the store (stages a to f of spec H 7). */
export interface ShapeRequest {
  readonly definition: DefinitionParams;
  readonly offset: LogOffset | 'now';
  /** Absent with offsets `-1` and `now`: there it is dropped before anything else (8.1). */
  readonly handle?: string;
  readonly live: boolean;
  readonly sse: boolean;
  readonly cursor: string;
  /**
   * A handle that the client knows has ended. It says nothing about the answer (CA-10); who is about to give this very handle
   * has reason to look again.
   */
  readonly expiredHandle?: string;
  /** Members of the subset, for `resolveSubset`; absent when the request is for the log. */
  readonly subset?: Params;
}

/** What DELETE names: a definition, a handle, or both (DE-2). */
export interface DeleteRequest {
  readonly definition: DefinitionParams;
  readonly handle?: string;
}

/** Checks the parameters of GET, HEAD and POST in the order of spec H 7; errors of one stage only. */
export function parseShapeRequest(params: Params): Checked<ShapeRequest> {
  const types = new TypeCheck(params);
  const definition = types.definition();
  const offsetText = types.text('offset');
  const handle = types.text('handle');
  const live = loose(params.live) ?? false;
  const oldSse = types.boolean('experimental_live_sse', 'live_sse') ?? false;
  const sse = loose(params.live_sse) ?? oldSse;
  const subset = types.object('subset');
  if (types.errors !== undefined) return { ok: false, errors: types.errors };

  if (offsetText === undefined) return refuse('offset', "can't be blank");
  const offset = offsetText === 'now' ? 'now' : parseOffset(offsetText);
  if (offset === undefined) return refuse('offset', 'has invalid format');
  const concrete = offset !== 'now' && offset.tx !== BEFORE_ALL.tx;
  if (concrete && handle === undefined) return refuse('handle', "can't be blank when offset != -1");
  if (live && offset === 'now') return refuse('live', "can't be true when offset is 'now'");
  if (live && !concrete) return refuse('live', "can't be true when offset == -1");
  if (sse && !live) return refuse('live_sse', "can't be true unless live is also true");

  return accept({
    definition,
    offset,
    ...(concrete && handle !== undefined ? { handle } : undefined),
    live,
    sse,
    cursor: typeof params.cursor === 'string' ? params.cursor : '',
    ...(typeof params['expired_handle'] === 'string' ? { expiredHandle: params['expired_handle'] } : undefined),
    ...(subset === undefined ? undefined : { subset }),
  });
}

/** Checks the parameters of DELETE (DE-2, DE-3): types only, `live` and the like as ordinary booleans. */
export function parseDeleteRequest(params: Params): Checked<DeleteRequest> {
  const types = new TypeCheck(params);
  const definition = types.definition();
  const handle = types.text('handle');
  types.text('offset');
  types.boolean('live', 'live');
  types.boolean('live_sse', 'live_sse');
  types.boolean('experimental_live_sse', 'live_sse');
  if (types.errors !== undefined) return { ok: false, errors: types.errors };
  if (definition.table === undefined && handle === undefined) {
    return refuse('handle', "can't be blank when shape definition is missing");
  }
  return accept({ definition, ...(handle === undefined ? undefined : { handle }) });
}

/** Text that is equal for requests with equal definition parameters; a cache key, not an identity. */
export function definitionKey(definition: DefinitionParams): string {
  return JSON.stringify([
    definition.table,
    definition.where,
    definition.params,
    definition.columns,
    definition.queryableColumns,
    definition.replica,
    definition.log,
    definition.compaction,
    definition.restriction,
  ]);
}

/** Stage (a): collects what has the wrong type. */
class TypeCheck {
  readonly #params: Params;
  #errors: Record<string, readonly string[]> | undefined;

  constructor(params: Params) {
    this.#params = params;
  }

  get errors(): FieldErrors | undefined {
    return this.#errors;
  }

  invalid(field: string): undefined {
    this.#errors ??= {};
    this.#errors[field] = ['is invalid'];
    return undefined;
  }

  /** Empty and blank count as absent (QP-3). JSON numbers are as good as their text (QP-10). */
  text(name: string): string | undefined {
    const value = this.#params[name];
    if (value === undefined || value === null) return undefined;
    if (typeof value === 'number') return String(value);
    if (typeof value !== 'string') return this.invalid(name);
    return value.trim() === '' ? undefined : value;
  }

  boolean(name: string, field: string): boolean | undefined {
    const value = this.#params[name];
    if (value === undefined || value === null) return undefined;
    if (typeof value === 'boolean') return value;
    if (typeof value !== 'string') return this.invalid(field);
    if (value.trim() === '') return undefined;
    if (value === 'true' || value === '1') return true;
    if (value === 'false' || value === '0') return false;
    return this.invalid(field);
  }

  object(name: string): Params | undefined {
    const value = this.#params[name];
    if (value === undefined || value === null) return undefined;
    return isObject(value) ? value : this.invalid(name);
  }

  definition(): DefinitionParams {
    const table = this.text('table');
    const where = this.text('where');
    const params = this.#whereParams();
    const columns = this.#columnList('columns');
    const queryableColumns = this.#columnList('queryable_columns');
    return {
      ...(table === undefined ? undefined : { table }),
      ...(where === undefined ? undefined : { where }),
      ...(params === undefined ? undefined : { params }),
      ...(columns === undefined ? undefined : { columns }),
      ...(queryableColumns === undefined ? undefined : { queryableColumns }),
      replica: this.#choice('replica', ['default', 'full']),
      log: this.#choice('log', ['full', 'changes_only']),
      compaction: this.boolean('experimental_compaction', 'experimental_compaction') ?? false,
    };
  }

  #choice<T extends string>(name: string, values: readonly [T, ...T[]]): T {
    const text = this.text(name);
    if (text === undefined) return values[0];
    const value = values.find((candidate) => candidate === text);
    if (value === undefined) this.invalid(name);
    return value ?? values[0];
  }

  #columnList(name: string): string | readonly string[] | undefined {
    const value = this.#params[name];
    if (!Array.isArray(value)) return this.text(name);
    return value.every((item) => typeof item === 'string') ? value : this.invalid(name);
  }

  #whereParams(): Readonly<Record<string, string>> | undefined {
    const value = this.#params.params;
    if (value === undefined || value === null) return undefined;
    if (typeof value === 'string' && value.trim() === '') return undefined;
    if (!isObject(value)) return this.invalid('params');
    // A URL has text only; JSON bodies may have the value itself.
    const texts = Object.entries(value).map(([key, item]) => [key, scalarText(item)] as const);
    if (texts.some(([, text]) => text === undefined)) return this.invalid('params');
    return Object.fromEntries(texts) as Readonly<Record<string, string>>;
  }
}

/** The text of a JSON scalar as Postgres reads it; null has none. */
function scalarText(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined;
}

/** `live` and `live_sse`: present means true, whatever the value, except the literal `false` (QP-4, QP-10). */
function loose(value: unknown): boolean | undefined {
  if (value === undefined || value === null) return undefined;
  return value !== 'false' && value !== false;
}
