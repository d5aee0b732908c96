import { TableIndex } from '@shapecast/matching';

/** A cell that no router of these tests survives. */
const DEADLY = 'deadly';

// A row that takes the process with it, as one could that exhausts its memory: nothing of it can be caught.
// eslint-disable-next-line @typescript-eslint/unbound-method -- called with its own `this` below
const match = TableIndex.prototype.match;
TableIndex.prototype.match = function (change, ...rest) {
  if (change.kind === 'insert' && change.new.includes(DEADLY)) process.kill(process.pid, 'SIGKILL');
  return match.call(this, change, ...rest);
};

await import('../../../services/router/src/main.ts');
