import { randomBytes, randomUUID } from 'node:crypto';
import { NumberDirectory, UuidDirectory, type Directory } from './hash-directory.ts';
import { IntStack } from './int-stack.ts';
import { PostingPool } from './posting-pool.ts';
import { PrefixDirectory } from './prefix-directory.ts';
import { RangeDirectory } from './range-directory.ts';
import { StringDirectory } from './string-directory.ts';
import { SubstringDirectory } from './substring-directory.ts';
import { TextRangeDirectory } from './text-range-directory.ts';

/** What the index structures cost. Prints one JSON line per case: `node --expose-gc structures.bench.ts`. */

const PROBES = 200_000;
const seed = randomBytes(6).readUIntBE(0, 6);

interface Subject<Key> {
  readonly name: string;
  readonly count: number;
  readonly keyOf: (i: number) => Key;
  readonly open: () => Structure<Key>;
}

interface Structure<Key> {
  acquire(key: Key): number;
  release(id: number): void;
  /** Looks a key up, or probes with a point; returns the number of hits. */
  probe(key: Key): number;
  bytes(): number;
}

function random(below: number): number {
  return Math.floor(Math.random() * below);
}

/** Strings as decoding a message makes them: one that was hashed before is cheaper to look up. */
function fresh(texts: readonly string[]): string[] {
  return texts.map((text) => Buffer.from(text).toString());
}

/** Processor time of this thread in microseconds: other processes may keep it waiting, which is not our cost. */
function processorUs(): number {
  const { user, system } = process.threadCpuUsage();
  return user + system;
}

/** Longest call so far at each place of a sequence that is run several times: the shortest time it took in any run. */
class Pauses {
  readonly #shortest: Float32Array;

  constructor(calls: number) {
    this.#shortest = new Float32Array(calls).fill(Infinity);
  }

  /** Runs the sequence once more. */
  run(call: (i: number) => void): void {
    globalThis.gc?.();
    const shortest = this.#shortest;
    let last = performance.now();
    for (let i = 0; i < shortest.length; i++) {
      call(i);
      const now = performance.now();
      shortest[i] = Math.min(shortest[i] as number, now - last);
      last = now;
    }
  }

  /** In milliseconds. Pauses of the machine and of the garbage collector hit another place each time, ours do not. */
  longest(): number {
    return Math.round(this.#shortest.reduce((longest, one) => Math.max(longest, one), 0) * 1000) / 1000;
  }
}

/** Nanoseconds per call. */
function timed(count: number, call: (i: number) => void): number {
  globalThis.gc?.();
  const start = processorUs();
  for (let i = 0; i < count; i++) call(i);
  return Math.round(((processorUs() - start) / count) * 1000);
}

function measure<Key>(
  { name, count, keyOf, open }: Subject<Key>,
  pointsOf: (keys: readonly Key[]) => readonly Key[],
  missesOf: () => readonly Key[],
): void {
  const keys = Array.from({ length: count }, (_, i) => keyOf(i));
  const churned = Int32Array.from({ length: PROBES }, () => random(count));
  const building = new Pauses(count);
  const churning = new Pauses(PROBES);
  const ids = new Int32Array(count);
  let structure = open();
  const acquire = (i: number) => (ids[i] = structure.acquire(keys[i] as Key));
  // One out, one in, at full size.
  const churn = (i: number) => {
    const at = churned[i] as number;
    structure.release(ids[at] as number);
    acquire(at);
  };
  for (let run = 0; run < 3; run++) {
    structure = open();
    building.run(acquire);
    churning.run(churn);
  }
  structure = open();
  const acquireNs = timed(count, acquire);
  const bytes = structure.bytes();
  const points = pointsOf(keys);
  let hits = 0;
  const probeNs = timed(PROBES, (i) => (hits += structure.probe(points[i] as Key)));
  const misses = missesOf();
  const missNs = timed(PROBES, (i) => structure.probe(misses[i] as Key));
  const result = {
    name,
    count,
    bytesPerKey: Math.round((bytes / count) * 10) / 10,
    acquireNs,
    probeNs,
    hitsPerProbe: Math.round((hits / PROBES) * 100) / 100,
    missNs,
    releaseAndAcquireNs: timed(PROBES, churn),
    longestMs: { acquire: building.longest(), churn: churning.longest() },
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

function hashed<Key>(directory: Directory<Key>): Structure<Key> {
  return {
    acquire: (key) => directory.acquire(key),
    release: (id) => directory.release(id),
    probe: (key) => (directory.find(key) < 0 ? 0 : 1),
    bytes: () => directory.bytes(),
  };
}

const out = new IntStack();

interface Probed<Key, Point> {
  acquire(key: Key): number;
  release(id: number): void;
  probe(point: Point, out: IntStack): void;
  bytes(): number;
}

function probed(directory: Probed<string, string>): Structure<string> {
  return {
    acquire: (key) => directory.acquire(key),
    release: (id) => directory.release(id),
    probe(key) {
      out.clear();
      directory.probe(key, out);
      return out.length;
    },
    bytes: () => directory.bytes(),
  };
}

function picked<Key>(keys: readonly Key[]): Key[] {
  return Array.from({ length: PROBES }, () => keys[random(keys.length)] as Key);
}

function letters(length: number): string {
  return Array.from(randomBytes(length), (byte) => String.fromCharCode(97 + (byte % 26))).join('');
}

const only = process.argv[2] ?? '';
function when(name: string, run: () => void): void {
  if (name.includes(only)) run();
}

when('uuid', () =>
  measure(
    {
      name: 'uuid',
      count: 1_000_000,
      keyOf: () => randomUUID() as string,
      open: () => hashed(new UuidDirectory({ seed })),
    },
    (keys) => fresh(picked(keys)),
    () => fresh(Array.from({ length: PROBES }, () => randomUUID())),
  ),
);

when('string', () => {
  const keyOf = (i: number) => `customer-${i * 7}@${i % 50}.example`;
  measure(
    { name: 'string', count: 1_000_000, keyOf, open: () => hashed(new StringDirectory({ seed })) },
    (keys) => fresh(picked(keys)),
    () => fresh(Array.from({ length: PROBES }, (_, i) => `customer+${i}@5.example`)),
  );
});

when('number', () =>
  measure(
    { name: 'number', count: 1_000_000, keyOf: (i) => i * 3, open: () => hashed(new NumberDirectory({ seed })) },
    picked,
    () => Array.from({ length: PROBES }, (_, i) => i * 3 + 1),
  ),
);

for (const count of [100_000, 1_000_000]) {
  when('range', () => {
    const open = (): Structure<number> => {
      const directory = new RangeDirectory();
      return {
        // The width makes ten hits a point.
        acquire: (low) => directory.acquire(low, false, low + 10 / count, true),
        release: (id) => directory.release(id),
        probe(point) {
          out.clear();
          directory.probe(point, out);
          return out.length;
        },
        bytes: () => directory.bytes(),
      };
    };
    measure(
      { name: 'range', count, keyOf: () => Math.random(), open },
      () => Array.from({ length: PROBES }, () => Math.random()),
      () => Array.from({ length: PROBES }, () => 1 + Math.random()),
    );
  });
}

when('range of mixed widths', () => {
  const count = 1_000_000;
  const open = (): Structure<[number, number]> => {
    const directory = new RangeDirectory();
    return {
      acquire: ([low, high]) => directory.acquire(low, false, high, true),
      release: (id) => directory.release(id),
      probe([point]) {
        out.clear();
        directory.probe(point, out);
        return out.length;
      },
      bytes: () => directory.bytes(),
    };
  };
  // Widths from narrow to as wide as everything, few of the wide ones: hits lie far apart in the order of starts.
  const keyOf = (): [number, number] => {
    const low = Math.random();
    return [low, low + 1 / (count * Math.random() ** 1.1)];
  };
  const points = () => Array.from({ length: PROBES }, (): [number, number] => [Math.random(), 0]);
  measure({ name: 'range of mixed widths', count, keyOf, open }, points, points);
});

when('text range', () => {
  const count = 100_000;
  const open = (): Structure<string> => {
    const directory = new TextRangeDirectory();
    return {
      acquire: (low) => directory.acquire(low, false, `${low.slice(0, 3)}~`, true),
      release: (id) => directory.release(id),
      probe(point) {
        out.clear();
        directory.probe(point, out);
        return out.length;
      },
      bytes: () => directory.bytes(),
    };
  };
  const texts = () => Array.from({ length: PROBES }, () => letters(8));
  measure({ name: 'text range', count, keyOf: () => letters(8), open }, texts, texts);
});

const WORDS = Array.from({ length: 9 }, (_, i) => 4 + i);

when('prefix', () => {
  const keyOf = (i: number) => letters(WORDS[i % WORDS.length] as number);
  const rest = letters(40);
  measure(
    { name: 'prefix of 9 lengths', count: 100_000, keyOf, open: () => probed(new PrefixDirectory({ seed })) },
    (keys) => fresh(picked(keys).map((key) => (key + rest).slice(0, 30))),
    () => fresh(Array.from({ length: PROBES }, () => letters(30))),
  );
  const count = 1_000_000;
  measure(
    { name: 'suffix of 9 lengths', count, keyOf, open: () => probed(new PrefixDirectory({ seed, reversed: true })) },
    (keys) => fresh(picked(keys).map((key) => (rest + key).slice(-30))),
    () => fresh(Array.from({ length: PROBES }, () => letters(30))),
  );
});

when('substring', () => {
  const keyOf = () => letters(5 + random(6));
  for (const count of [100_000, 1_000_000]) {
    measure(
      { name: 'substring', count, keyOf, open: () => probed(new SubstringDirectory({ seed })) },
      (keys) => fresh(picked(keys).map((key) => letters(20) + key + letters(30 - key.length))),
      () => fresh(Array.from({ length: PROBES }, () => letters(50))),
    );
  }
});

when('posting', () => {
  for (const [postings, count] of [
    [1_000_000, 1_000_000],
    [200_000, 1_000_000],
    [10, 1_000_000],
  ] as const) {
    const adding = new Pauses(count);
    let pool = new PostingPool();
    const add = (i: number) => pool.add(i % postings, i);
    for (let run = 0; run < 3; run++) {
      pool = new PostingPool();
      adding.run(add);
    }
    pool = new PostingPool();
    const addNs = timed(count, add);
    const at = Int32Array.from({ length: PROBES }, () => random(count));
    const bytes = pool.bytes();
    const removeAndAddNs = timed(PROBES, (i) => {
      const entry = at[i] as number;
      pool.remove(entry % postings, entry);
      pool.add(entry % postings, entry);
    });
    const copyNs = timed(Math.min(PROBES, postings * 10), (i) => {
      out.clear();
      pool.copyTo((at[i] as number) % postings, out);
    });
    const result = {
      name: 'posting',
      postings,
      count,
      bytesPerEntry: Math.round((bytes / count) * 10) / 10,
      addNs,
      removeAndAddNs,
      copyNsPerEntry: Math.round((copyNs / (count / postings)) * 100) / 100,
      longestMs: { add: adding.longest() },
    };
    process.stdout.write(`${JSON.stringify(result)}\n`);
  }
});
