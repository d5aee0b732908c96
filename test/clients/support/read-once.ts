/**
 * A program: reads the shape that its argument describes (`ShapeStreamOptions` as JSON) with the official client until
 * it is up to date and prints what it was told, as JSON. A process of its own has nothing of an earlier reader's memory.
 */
import { ShapeStream, type Message, type ShapeStreamOptions } from '@electric-sql/client';

const options = JSON.parse(process.argv[2] ?? '') as ShapeStreamOptions;
const statuses: number[] = [];
const stream = new ShapeStream({
  ...options,
  subscribe: false,
  fetchClient: async (input, init) => {
    const answer = await fetch(input, init);
    statuses.push(answer.status);
    return answer;
  },
});
const messages: Message[] = [];
await new Promise<void>((resolve, reject) => {
  stream.subscribe((batch) => {
    messages.push(...batch);
    if (batch.at(-1)?.headers['control'] === 'up-to-date') resolve();
  }, reject);
});
process.stdout.write(
  JSON.stringify({ messages, statuses, handle: stream.shapeHandle, offset: stream.lastOffset }),
  () => process.exit(0),
);
