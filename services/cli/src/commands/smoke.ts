import { readFileSync } from 'node:fs';
import {
  EXIT,
  requiredText,
  secondsOf,
  textOf,
  urlOf,
  WrongUsage,
  type Command,
  type Values,
  type World,
} from '../command.ts';
import { failureOf } from '../doctor/failure.ts';
import { readShape, type ShapeReading } from '../http/read-shape.ts';
import { durationText, sizeText } from '../output/quantities.ts';
import { table } from '../output/table.ts';
import { SOURCE_FLAG } from '../sources/one-source.ts';

const TIMEOUT_MS = 60_000;

export const smoke: Command = {
  flags: {
    api: { type: 'string', value: 'URL', about: 'Address of the API; required.' },
    table: { type: 'string', value: 'TABLE', about: 'Table of the shape; required.' },
    where: { type: 'string', value: 'CLAUSE', about: 'Where clause of the shape.' },
    columns: { type: 'string', value: 'LIST', about: 'Columns of the shape, separated by commas.' },
    'secret-file': {
      type: 'string',
      value: 'FILE',
      about: 'File with the secret; the first of ELECTRIC_SECRET unless given.',
    },
    timeout: { type: 'string', value: 'SECONDS', about: 'How long it may take; 60 unless given.' },
    ...SOURCE_FLAG,
    json: { type: 'boolean', about: 'The figures as JSON.' },
  },
  async run(values, world) {
    requiredText(values, 'api');
    const names = ['table', 'where', 'columns'] as const;
    requiredText(values, 'table');
    const given = names.map((name) => [name, textOf(values, name)] as const);
    const all = [...given, ['source_id', textOf(values, 'source-id')] as const];
    const parameters = Object.fromEntries(
      all.flatMap(([name, text]) => (text === undefined ? [] : [[name, text] as const])),
    );
    const address = { url: urlOf(values, 'api') as string, parameters, secret: secretOf(values, world) };
    const { clock } = world;
    const startedAt = clock.now();
    const reading = await readInTime(address, world, secondsOf(values, 'timeout', TIMEOUT_MS));
    const totalMs = clock.now() - startedAt;
    const bytes = reading.steps.reduce((sum, step) => sum + step.bytes, 0);
    const ok = reading.problem === undefined;
    if (values['json'] === true) world.out(JSON.stringify({ ok, totalMs, bytes, ...reading }, undefined, 2));
    else report(reading, { totalMs, bytes }, world);
    return ok ? EXIT.ok : EXIT.failed;
  },
};

async function readInTime(
  address: Parameters<typeof readShape>[0],
  world: World,
  timeoutMs: number,
): Promise<ShapeReading> {
  const late = new AbortController();
  const cancel = world.clock.after(timeoutMs, () =>
    late.abort(new Error(`it took more than ${durationText(timeoutMs)}`)),
  );
  try {
    return await readShape(address, world, AbortSignal.any([world.signal, late.signal]));
  } catch (error) {
    world.signal.throwIfAborted();
    return { steps: [], rows: 0, rotations: 0, problem: `The shape was not read: ${failureOf(error).message}` };
  } finally {
    cancel();
  }
}

function secretOf(values: Values, { env }: World): string | undefined {
  const file = textOf(values, 'secret-file');
  if (file === undefined) return env['ELECTRIC_SECRET']?.split(',')[0]?.trim() || undefined;
  try {
    return readFileSync(file, 'utf8').split('\n')[0]?.trim() || undefined;
  } catch {
    throw new WrongUsage('The file of --secret-file cannot be read.');
  }
}

function report(
  { steps, rows, rotations, problem }: ShapeReading,
  total: { totalMs: number; bytes: number },
  world: World,
) {
  if (steps.length > 0) {
    const lines = steps.map(({ kind, code, ms, bytes, caching }) => [
      kind,
      String(code),
      durationText(ms),
      sizeText(bytes),
      Object.entries(caching)
        .map(([name, value]) => `${name}: ${value}`)
        .join('; '),
    ]);
    world.out(table(lines));
  }
  const over = rotations === 0 ? '' : `, started over ${rotations} times`;
  world.out(`${rows} rows, ${steps.length} requests, ${sizeText(total.bytes)}, ${durationText(total.totalMs)}${over}`);
  if (problem !== undefined) world.err(problem);
}
