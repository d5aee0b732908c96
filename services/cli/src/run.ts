import { readFileSync } from 'node:fs';
import { parseArgs, parseEnv } from 'node:util';
import { isShapecastError } from '@shapecast/errors';
import { withoutCredentials } from '@shapecast/service-kit';
import { EXIT, WrongUsage, textOf, type Command, type ExitCode, type Flags, type World } from './command.ts';

/** Loaded when they are called: a probe that runs every few seconds should not load all services. */
const COMMANDS: Readonly<Record<string, { readonly about: string; load(): Promise<Command> }>> = {
  doctor: {
    about: 'checks Postgres, NATS, Redis and the API, and says what to do about what is wrong',
    load: async () => (await import('./commands/doctor.ts')).doctor,
  },
  health: {
    about: 'asks the API whether it is active, or waits until it is',
    load: async () => (await import('./commands/health.ts')).health,
  },
  smoke: {
    about: 'reads a shape through the API to its end and waits for one live answer',
    load: async () => (await import('./commands/smoke.ts')).smoke,
  },
  lag: {
    about: 'shows how far Postgres, the tx stream and each shard have come',
    load: async () => (await import('./commands/lag.ts')).lag,
  },
  'config validate': {
    about: 'reads the settings as the services would',
    load: async () => (await import('./commands/config-validate.ts')).configValidate,
  },
  'sources list': {
    about: 'lists the sources with state and lag',
    load: async () => (await import('./commands/sources-list.ts')).sourcesList,
  },
  'sources show': {
    about: 'shows a source: conditions, shards, quotas, processes',
    load: async () => (await import('./commands/sources-show.ts')).sourcesShow,
  },
  'sources add': {
    about: 'declares a source',
    load: async () => (await import('./commands/sources-declare.ts')).sourcesAdd,
  },
  'sources change': {
    about: 'declares a source anew',
    load: async () => (await import('./commands/sources-declare.ts')).sourcesChange,
  },
  'sources pause': {
    about: 'stops replicating and serving a source; its slot keeps WAL',
    load: async () => (await import('./commands/sources-state.ts')).sourcesPause,
  },
  'sources resume': {
    about: 'has a source go on',
    load: async () => (await import('./commands/sources-state.ts')).sourcesResume,
  },
  'sources drain': {
    about: 'has what exists of a source go on, and nothing new begin',
    load: async () => (await import('./commands/sources-state.ts')).sourcesDrain,
  },
  'sources remove': {
    about: 'drops slot, publication and all data of a source',
    load: async () => (await import('./commands/sources-state.ts')).sourcesRemove,
  },
  'sources release': {
    about: 'has the leader of a source make room for another replicator',
    load: async () => (await import('./commands/sources-lead.ts')).sourcesRelease,
  },
  'sources new-incarnation': {
    about: 'begins a new incarnation of a source: every reader starts over',
    load: async () => (await import('./commands/sources-lead.ts')).sourcesNewIncarnation,
  },
  'shards list': {
    about: 'lists the shards of a source with owner, lag and shapes',
    load: async () => (await import('./commands/shards.ts')).shardsList,
  },
  'shards move': {
    about: 'moves a shard to another router',
    load: async () => (await import('./commands/shards.ts')).shardsMove,
  },
  'shapes list': {
    about: 'lists the shapes of a source with readers, bytes and how they are found',
    load: async () => (await import('./commands/shapes.ts')).shapesList,
  },
  'shapes inspect': {
    about: 'shows everything that is known of a shape',
    load: async () => (await import('./commands/shapes.ts')).shapesInspect,
  },
  'shapes explain': {
    about: 'says how a where clause is found at each change, and what that costs',
    load: async () => (await import('./commands/shapes-explain.ts')).shapesExplain,
  },
  'shapes check': {
    about: 'compares a shape with what the database says at one moment',
    load: async () => (await import('./commands/shapes-check.ts')).shapesCheck,
  },
  'shapes rotate': {
    about: 'ends a shape, those of a table or those of a source, for a reason: readers start over',
    load: async () => (await import('./commands/shapes-rotate.ts')).shapesRotate,
  },
  'shapes delete': {
    about: 'ends a shape: its readers start over',
    load: async () => (await import('./commands/shapes.ts')).shapesDelete,
  },
};

/** Of every command. */
const COMMON: Flags = {
  'env-file': {
    type: 'string',
    value: 'FILE',
    about: 'Variables from FILE (NAME=value lines), before those of the environment.',
  },
  help: { type: 'boolean', short: 'h', about: 'This text.' },
};

/** Runs one command; answers the exit code of the process. */
export async function run(args: readonly string[], world: World): Promise<ExitCode> {
  const [first, second] = args;
  if (first === '--version' || first === '-v') {
    world.out(version());
    return EXIT.ok;
  }
  if (first === undefined || first === '--help' || first === '-h' || first === 'help') {
    world.out(usage());
    return first === undefined ? EXIT.usage : EXIT.ok;
  }
  const twoWords = `${first} ${second}`;
  const name = Object.hasOwn(COMMANDS, twoWords) ? twoWords : first;
  const entry = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (entry === undefined) {
    world.err(`There is no such command.\n\n${usage()}`);
    return EXIT.usage;
  }
  return runCommand({ name, about: entry.about }, await entry.load(), args.slice(name.split(' ').length), world);
}

async function runCommand(
  { name, about }: { readonly name: string; readonly about: string },
  command: Command,
  args: readonly string[],
  world: World,
): Promise<ExitCode> {
  const flags = { ...command.flags, ...COMMON };
  try {
    const values = parse(args, flags, command.argument);
    if (values['help'] === true) {
      world.out(helpOf(name, about, command));
      return EXIT.ok;
    }
    return await command.run(values, { ...world, env: environment(textOf(values, 'env-file'), world) });
  } catch (error) {
    if (error instanceof WrongUsage) {
      world.err(`${error.message} See shapecast ${name} --help.`);
      return EXIT.usage;
    }
    if (!isShapecastError(error) && !world.signal.aborted) throw error;
    world.err(withoutCredentials(error instanceof Error ? error.message : String(error)));
    return EXIT.failed;
  }
}

function parse(args: readonly string[], flags: Flags, argument: string | undefined) {
  const options = Object.fromEntries(
    Object.entries(flags).map(([flag, { type, short }]) => [flag, { type, ...(short === undefined ? {} : { short }) }]),
  );
  try {
    const allowPositionals = argument !== undefined;
    const { values, positionals } = parseArgs({ args: [...args], options, strict: true, allowPositionals });
    if (positionals.length > 1) throw new Error('too many arguments');
    const [first] = positionals;
    const named = argument === undefined || first === undefined ? {} : { [argument]: first };
    return { ...values, ...named } as Record<string, string | boolean>;
  } catch (error) {
    const unknown = /^Unknown option '(--?[a-z-]+)/.exec(error instanceof Error ? error.message : '')?.[1];
    // Its own words may repeat an argument, which may be a secret.
    throw new WrongUsage(unknown === undefined ? 'The arguments cannot be read.' : `There is no option ${unknown}.`);
  }
}

/** What stands in the environment wins, as with the `--env-file` of Node. */
function environment(file: string | undefined, { env }: World): World['env'] {
  if (file === undefined) return env;
  try {
    return { ...parseEnv(readFileSync(file, 'utf8')), ...env };
  } catch {
    throw new WrongUsage('The file of --env-file cannot be read.');
  }
}

function usage(): string {
  const width = Math.max(...Object.keys(COMMANDS).map((name) => name.length));
  const lines = Object.entries(COMMANDS).map(([name, { about }]) => `  ${name.padEnd(width)}  ${about}`);
  return [
    'Usage: shapecast <command> [options]',
    '',
    ...lines,
    '',
    'Settings come from the same environment variables as those of the services. shapecast <command> --help has the options,',
    'shapecast --version the version. Exit code: 0 all is well, 1 something is wrong, 2 wrong usage.',
  ].join('\n');
}

function helpOf(name: string, about: string, { flags, argument }: Command): string {
  const all = Object.entries({ ...flags, ...COMMON }).map(([flag, { value, short, about: text }]) => {
    const named = `--${flag}${value === undefined ? '' : ` ${value}`}${short === undefined ? '' : `, -${short}`}`;
    return [named, text] as const;
  });
  const width = Math.max(...all.map(([named]) => named.length));
  const lines = all.map(([named, text]) => `  ${named.padEnd(width)}  ${text}`);
  const call = `shapecast ${name}${argument === undefined ? '' : ` ${argument}`} [options]`;
  return [`Usage: ${call}`, '', `Shapecast ${about}.`, '', ...lines].join('\n');
}

function version(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { readonly version: string }).version;
}
