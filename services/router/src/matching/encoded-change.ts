import type { DeleteChange, InsertChange, Lsn, Position, RowChange, UpdateChange } from '@shapecast/log';
import { bodyBytes, type MessageBody, type RowEncoder } from '@shapecast/protocol';

/** One message, serialised at most once for each of its two ends, however many shapes take it. */
export class EncodedMessage {
  readonly position: Position;
  readonly #body: MessageBody;
  #plain: Uint8Array | undefined;
  #last: Uint8Array | undefined;

  constructor(position: Position, body: MessageBody) {
    this.position = position;
    this.#body = body;
  }

  /** Length of the text in UTF-16 units; for bounds only. */
  get size(): number {
    return this.#body.length;
  }

  bytes(last: boolean): Uint8Array {
    if (last) return (this.#last ??= bodyBytes(this.#body, true));
    return (this.#plain ??= bodyBytes(this.#body, false));
  }
}

/** What the messages of one transaction share. */
export interface MessageContext {
  readonly lsn: Lsn;
  readonly headers: string;
}

export type Operation = 'insert' | 'update' | 'delete' | 'keyChangeDelete' | 'keyChangeInsert';

/** Messages of the current change in one projection, made when the first shape asks for them. */
export class SharedEncoder {
  readonly rows: RowEncoder;
  #change: RowChange | undefined;
  readonly #messages: { [O in Operation]: EncodedMessage | undefined } = {
    insert: undefined,
    update: undefined,
    delete: undefined,
    keyChangeDelete: undefined,
    keyChangeInsert: undefined,
  };
  /** What a change that the row stays in the shape for becomes, decided once per change. */
  #stays: 'nothing' | 'update' | 'new key' = 'nothing';

  constructor(rows: RowEncoder) {
    this.rows = rows;
  }

  stays(change: UpdateChange): 'nothing' | 'update' | 'new key' {
    if (change !== this.#change) this.#turnTo(change);
    return this.#stays;
  }

  encode(operation: Operation, change: RowChange, context: MessageContext): EncodedMessage {
    if (change !== this.#change) this.#turnTo(change);
    const known = this.#messages[operation];
    if (known !== undefined) return known;
    const op = operation === 'keyChangeInsert' ? change.op + 1 : change.op;
    const body = this.#body(operation, change, context.headers);
    return (this.#messages[operation] = new EncodedMessage({ lsn: context.lsn, op }, body));
  }

  #body(operation: Operation, change: RowChange, headers: string): MessageBody {
    switch (operation) {
      case 'insert':
        return this.rows.insert(change as InsertChange | UpdateChange, headers);
      case 'delete':
        return this.rows.delete(change as DeleteChange | UpdateChange, headers);
      case 'update':
      case 'keyChangeDelete':
      case 'keyChangeInsert':
        return this.rows[operation](change as UpdateChange, headers);
    }
  }

  #turnTo(change: RowChange): void {
    this.#change = change;
    const messages = this.#messages;
    messages.insert = undefined;
    messages.update = undefined;
    messages.delete = undefined;
    messages.keyChangeDelete = undefined;
    messages.keyChangeInsert = undefined;
    if (change.kind !== 'update') return;
    // A changed key is a new row to clients, also when no selected column changed (a table without primary key is keyed
    // by columns that a shape need not select): otherwise they could never match its delete.
    if (this.rows.changesKey(change)) this.#stays = 'new key';
    else this.#stays = this.rows.changesRow(change) ? 'update' : 'nothing';
  }
}
