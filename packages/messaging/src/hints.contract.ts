import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bytes, freshName, gate, text, type MessagingPair, type OpenMessaging } from './messaging.contract.ts';

/** What every implementation of Hints promises. */
export function describeHints(name: string, open: OpenMessaging): void {
  describe(`hints of ${name}`, () => {
    let pair: MessagingPair;
    beforeAll(async () => {
      pair = await open();
    });
    afterAll(() => pair.close());

    /** Hints are lossy, so a test repeats its own until one is heard. */
    async function publishUntil(subject: string, payload: string, heard: Promise<unknown>): Promise<void> {
      let done = false;
      void heard.then(() => (done = true));
      while (!done) {
        pair.other.hints.publish(subject, bytes(payload));
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }

    test('a hint reaches every subscriber, in the other member and in the same one', async () => {
      const subject = `shapecast.hint.${freshName()}`;
      const [first, second, own] = [gate<string>(), gate<string>(), gate<string>()];
      const stops = [
        pair.one.hints.subscribe(
          subject,
          (payload) => first.open(text(payload)),
          () => {},
        ),
        pair.one.hints.subscribe(
          subject,
          (payload) => second.open(text(payload)),
          () => {},
        ),
        pair.other.hints.subscribe(
          subject,
          (payload) => own.open(text(payload)),
          () => {},
        ),
      ];
      const all = Promise.all([first.opened, second.opened, own.opened]);
      await publishUntil(subject, 'changed', all);
      expect(await all).toEqual(['changed', 'changed', 'changed']);
      for (const stop of stops) stop();
    });

    test('one who unsubscribed hears nothing more', async () => {
      const subject = `shapecast.hint.${freshName()}`;
      const [gone, there] = [gate(), gate()];
      let heard = 0;
      const stopGone = pair.one.hints.subscribe(
        subject,
        () => {
          heard += 1;
          gone.open();
        },
        () => {},
      );
      await publishUntil(subject, 'a', gone.opened);
      stopGone();
      const before = heard;
      const stop = pair.one.hints.subscribe(
        subject,
        (payload) => text(payload) === 'b' && there.open(),
        () => {},
      );
      await publishUntil(subject, 'b', there.opened);
      expect(heard).toBe(before);
      stop();
    });

    test('other subjects are not heard', async () => {
      const subject = `shapecast.hint.${freshName()}`;
      const heard: string[] = [];
      const done = gate();
      const stopOne = pair.one.hints.subscribe(
        `${subject}.1`,
        (payload) => heard.push(text(payload)),
        () => {},
      );
      const stopTwo = pair.one.hints.subscribe(
        `${subject}.2`,
        () => done.open(),
        () => {},
      );
      await publishUntil(`${subject}.2`, 'x', done.opened);
      expect(heard).toEqual([]);
      stopOne();
      stopTwo();
    });

    test('a subject that ends in a star stands for all with one word there', async () => {
      const subject = `shapecast.events.${freshName()}`;
      const [one, two] = [gate<string>(), gate<string>()];
      const heard: string[] = [];
      const stop = pair.one.hints.subscribe(
        `${subject}.*`,
        (payload) => {
          heard.push(text(payload));
          (text(payload) === 'a' ? one : two).open(text(payload));
        },
        () => {},
      );
      await publishUntil(`${subject}.x`, 'a', one.opened);
      pair.other.hints.publish(`${subject}.x.y`, bytes('deeper'));
      pair.other.hints.publish(subject, bytes('above'));
      await publishUntil(`${subject}.y`, 'b', two.opened);
      expect([...new Set(heard)]).toEqual(['a', 'b']);
      stop();
    });

    test('a subscriber that fails does not stop the others', async () => {
      const subject = `shapecast.hint.${freshName()}`;
      const done = gate();
      const stopBad = pair.one.hints.subscribe(
        subject,
        () => {
          throw new Error('a fault in a subscriber');
        },
        () => {},
      );
      const stopGood = pair.one.hints.subscribe(
        subject,
        () => done.open(),
        () => {},
      );
      await publishUntil(subject, 'x', done.opened);
      await expect(done.opened).resolves.toBeUndefined();
      stopBad();
      stopGood();
    });
  });
}
