import { describe, expect, test } from 'vitest';
import type { Change, Lsn, Relation, TransactionPart } from '@shapecast/log';
import { waitFor } from '@shapecast/testkit';
import { RecordingHandler } from '../../contract/recording-handler.contract.ts';
import { MAX_PART_CHANGES } from '../pgoutput/part-assembler.ts';
import { PartDelivery } from './part-delivery.ts';

const relation: Relation = { oid: 1, schema: 's', name: 't', replicaIdentity: 'f', columns: [], keyColumns: [] };

function part(lsn: number, changes: number): TransactionPart {
  const list: Change[] = Array.from({ length: changes }, (_, index) => ({ kind: 'truncate', op: 2 * index, relation }));
  const position = { lsn: BigInt(lsn) as Lsn, endLsn: BigInt(lsn + 1) as Lsn };
  return { ...position, xid: 1n, commitTimeUs: 0n, begin: true, commit: true, changes: list };
}

function open() {
  const handler = new RecordingHandler();
  const state = { paused: false, inTransaction: false, ready: undefined as Promise<void> | undefined };
  const failures: unknown[] = [];
  const delivery = new PartDelivery({
    handler,
    ready: () => state.ready,
    inTransaction: () => state.inTransaction,
    pause: () => (state.paused = true),
    resume: () => (state.paused = false),
    fail: (error) => failures.push(error),
  });
  return { handler, delivery, state, failures };
}

describe('PartDelivery', () => {
  test('hands over together what arrived together', async () => {
    const { handler, delivery } = open();
    for (let lsn = 1; lsn <= 5; lsn += 1) delivery.push(part(lsn, 1), 100);
    await waitFor(() => handler.calls.length > 0);
    expect(handler.calls.map((call) => call.map((each) => each.lsn))).toEqual([[1n, 2n, 3n, 4n, 5n]]);
  });

  test('stops reading when two full batches wait, and resumes when one was taken', async () => {
    const { handler, delivery, state } = open();
    handler.block();
    delivery.push(part(1, 1), 100);
    await waitFor(() => handler.calls.length === 1);
    delivery.push(part(2, MAX_PART_CHANGES), 100);
    expect(state.paused).toBe(false);
    delivery.push(part(3, MAX_PART_CHANGES), 100);
    expect(state.paused).toBe(true);
    handler.release();
    await waitFor(() => handler.calls.length === 3);
    expect(state.paused).toBe(false);
    expect(handler.parts.map((each) => each.lsn)).toEqual([1n, 2n, 3n]);
  });

  test('counts bytes as well as changes', async () => {
    const { handler, delivery, state } = open();
    handler.block();
    delivery.push(part(1, 1), 100);
    await waitFor(() => handler.calls.length === 1);
    delivery.push(part(2, 1), 300_000);
    delivery.push(part(3, 1), 300_000);
    expect(state.paused).toBe(true);
    handler.release();
    await waitFor(() => handler.calls.length === 3);
  });

  test('tells the WAL end only after what came before it was handled, the newest one once', async () => {
    const { handler, delivery } = open();
    handler.block();
    delivery.push(part(1, 1), 100);
    await waitFor(() => handler.calls.length === 1);
    delivery.idle(10n as Lsn);
    delivery.idle(20n as Lsn);
    await new Promise((resolve) => setImmediate(resolve));
    expect(handler.idle).toEqual([]);
    handler.release();
    await waitFor(() => handler.idle.length > 0);
    expect(handler.idle).toEqual([20n]);
  });

  test('keeps the WAL end to itself while a transaction is half received', async () => {
    const { handler, delivery, state } = open();
    delivery.idle(10n as Lsn);
    state.inTransaction = true;
    await new Promise((resolve) => setImmediate(resolve));
    expect(handler.idle).toEqual([]);
    state.inTransaction = false;
    delivery.push(part(11, 1), 100);
    await waitFor(() => handler.idle.length > 0);
    expect(handler.calls).toHaveLength(1);
  });

  test('waits until relations are complete', async () => {
    const { handler, delivery, state } = open();
    let complete = () => {};
    state.ready = new Promise((resolve) => (complete = resolve));
    delivery.push(part(1, 1), 100);
    await new Promise((resolve) => setImmediate(resolve));
    expect(handler.calls).toEqual([]);
    complete();
    await waitFor(() => handler.calls.length === 1);
  });

  test('delivers nothing more after it was stopped', async () => {
    const { handler, delivery } = open();
    delivery.push(part(1, 1), 100);
    delivery.stop();
    await new Promise((resolve) => setImmediate(resolve));
    expect(handler.calls).toEqual([]);
  });
});
