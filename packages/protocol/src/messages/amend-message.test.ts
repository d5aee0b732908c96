import { expect, test } from 'vitest';
import { amendMessage } from './amend-message.ts';

const amended = (text: string, amendment: { readonly last: boolean; readonly alone: boolean }) =>
  Buffer.from(amendMessage(Buffer.from(text), amendment)).toString();

const HEADERS = `"headers":{"operation":"delete","relation":["public","t"],"txids":[7],"lsn":"10","op_position":2`;
const NASTY = `{"key":"\\"public\\".\\"t\\"/\\",\\"key_change_to\\":\\"\\"","value":{"key_change_to":"a","last":"}}",",\\"op_position\\":":"ü"},${HEADERS}`;

test('the entry that is the last one now says so, once', () => {
  expect(amended(`${NASTY}}}`, { last: true, alone: false })).toBe(`${NASTY},"last":true}}`);
  expect(amended(`${NASTY},"last":true}}`, { last: true, alone: false })).toBe(`${NASTY},"last":true}}`);
  expect(amended(`${NASTY},"last":true}}`, { last: false, alone: false })).toBe(`${NASTY},"last":true}}`);
});

test.each(['to', 'from'])('half a change of key forgets the other half (%s)', (side) => {
  const half = `${NASTY},"key_change_${side}":"\\"public\\".\\"t\\"/\\"a,\\"key_change_from\\":\\"b\\""`;
  expect(amended(`${half}}}`, { last: false, alone: true })).toBe(`${NASTY}}}`);
  expect(amended(`${half},"last":true}}`, { last: false, alone: true })).toBe(`${NASTY},"last":true}}`);
  expect(amended(`${half}}}`, { last: true, alone: true })).toBe(`${NASTY},"last":true}}`);
  expect(amended(`${half}}}`, { last: true, alone: false })).toBe(`${half},"last":true}}`);
});

test('a message that is no half of one keeps columns of that name', () => {
  expect(amended(`${NASTY}}}`, { last: false, alone: true })).toBe(`${NASTY}}}`);
});
