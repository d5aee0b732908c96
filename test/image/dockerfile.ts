/** One instruction, with the words of its flags apart. */
export interface Step {
  readonly name: string;
  readonly flags: readonly string[];
  /** Everything else on its line, as it stands. */
  readonly rest: string;
}

interface Stage {
  readonly name: string;
  /** Another stage, or an image. */
  readonly from: string;
  readonly steps: readonly Step[];
}

export interface Dockerfile {
  /** Defaults of the arguments before the first stage. */
  readonly args: ReadonlyMap<string, string>;
  readonly stages: readonly Stage[];
}

/** Reads what our Dockerfile is written in: no heredocs, one instruction per logical line. */
export function parseDockerfile(text: string): Dockerfile {
  const args = new Map<string, string>();
  const stages: { name: string; from: string; steps: Step[] }[] = [];
  for (const line of logicalLines(text)) {
    const [, name = '', rest = ''] = /^([A-Z]+)\s+(.*)$/s.exec(line) ?? [];
    if (name === '') throw new Error(`This is no instruction: ${line}`);
    const last = stages.at(-1);
    if (name === 'FROM') {
      const [, from = '', stage = ''] = /^(\S+)\s+AS\s+(\S+)$/.exec(rest) ?? [];
      if (stage === '') throw new Error(`A stage has no name: ${line}`);
      stages.push({ name: stage, from, steps: [] });
    } else if (last !== undefined) {
      const words = rest.split(' ');
      const flags = words.slice(
        0,
        Math.max(
          0,
          words.findIndex((word) => !word.startsWith('--')),
        ),
      );
      last.steps.push({ name, flags, rest: words.slice(flags.length).join(' ').trim() });
    } else if (name === 'ARG') {
      const [key = '', ...value] = rest.split('=');
      args.set(key, value.join('='));
    }
  }
  return { args, stages };
}

function logicalLines(text: string): readonly string[] {
  const lines = text.split('\n').filter((line) => !line.trimStart().startsWith('#'));
  return lines
    .join('\n')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

/** An image's name with the defaults of its arguments. */
export function resolved({ args }: Dockerfile, text: string): string {
  return text.replaceAll(/\$\{(\w+)\}/g, (_, name: string) => args.get(name) ?? '');
}

/** Whether `.dockerignore` keeps a path out of the build. Of the rules that match it or a folder above it, the last decides. */
export function ignoring(text: string): (path: string) => boolean {
  const rules = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => ({ keep: line.startsWith('!'), pattern: patternOf(line.replace(/^!/, '')) }));
  return (path) => {
    const parts = path.split('/');
    const above = parts.map((_, i) => parts.slice(0, i + 1).join('/'));
    return rules.reduce(
      (ignored, { keep, pattern }) => (above.some((folder) => pattern.test(folder)) ? !keep : ignored),
      false,
    );
  };
}

function patternOf(glob: string): RegExp {
  const text = glob
    .replaceAll(/[.+^$()|[\]{}]/g, '\\$&')
    .replaceAll(/\*\*\/|\*|\?/g, (found) => (found === '**/' ? '(?:.*/)?' : found === '*' ? '[^/]*' : '[^/]'));
  return new RegExp(`^${text}$`);
}
