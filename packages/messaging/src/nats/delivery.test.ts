import { expect, test } from 'vitest';
import { parseDelivery } from './delivery.ts';

test('sequences and time are found in reply subjects of old and new servers', () => {
  const old = '$JS.ACK.shapecast_tx_s_1.consumer.1.1042.17.1700000000123456789.3';
  const withDomain = '$JS.ACK._.hash.shapecast_tx_s_1.consumer.1.1042.17.1700000000123456789.3';
  const delivery = { streamSeq: 1042, consumerSeq: 17, storedMs: 1_700_000_000_123 };
  expect(parseDelivery(old)).toEqual(delivery);
  expect(parseDelivery(withDomain)).toEqual(delivery);
  expect(parseDelivery(`${withDomain}.random`)).toEqual(delivery);
});

test.each(['', '_INBOX.a.b', '$JS.ACK.s.c.1', '$JS.ACK.s.c.1.x.y.0.0'])('%j is not a delivery', (reply) => {
  expect(parseDelivery(reply)).toBeUndefined();
});
