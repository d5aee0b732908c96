import { GROUPS, VARIABLES, type Variable } from '@shapecast/service-kit';
import { z } from 'zod';

/** What one service reads. */
export interface ConfigSection {
  readonly service: string;
  readonly schema: z.ZodObject;
  readonly names: Readonly<Record<string, readonly string[]>>;
}

const INTRO = `# Settings

Every setting is an environment variable, read once at start. A bad value stops the start, with one message that names every
variable that is wrong and the form it accepts, and no value. A variable that is set to nothing counts as not set. Where a
row names another variable that it stands for, that one wins if both are set.

- **Durations**: \`500ms\`, \`10s\` (or \`10sec\`), \`2min\` (or \`2m\`), \`72h\`; a bare number is milliseconds. More than 0, unless 0 is
  said to be accepted, and up to 24 days.
- **Sizes**: \`1048576\` (bytes), \`512KiB\`, \`20GB\`: \`KB\`, \`MB\`, \`GB\` are powers of 1000, \`KiB\`, \`MiB\`, \`GiB\` of 1024.
- **Switches**: \`true\` or \`false\`. **Lists**: separated by commas.

Variables of the reference (\`ELECTRIC_*\` and a few more) are all accepted. The last column says what becomes of them: *kept*, the
meaning is the same; *adapted*, as said there; *ignored*; *not yet*, without effect so far; *not needed*, always so. At start a process writes one line for
each variable that is set and ignored, not needed, without effect or renamed, and a warning for each one that starts with \`ELECTRIC_\` or
\`SHAPECAST_\` and is not in these tables, with the name that was probably meant. Columns R, P, A and E say who reads it:
router, replicator, API and embedded mode (\`npm start\`).

Readiness checks accept both 200 and 202 of \`/v1/health\`: during a rolling deployment a new instance cannot be active before the
old one has stopped, and a check that insists on 200 would wait for ever.

This page is made from the code by \`npm run docs:config\`; a test compares the two.
`;

const COLUMNS = { router: 'R', replicator: 'P', api: 'A', embedded: 'E' } as const;

/** The settings page: the variables of every service in one table per subject, from the declarations that also parse them. */
export function configPage(sections: readonly ConfigSection[]): string {
  return `${INTRO}${GROUPS.map((group) => groupText(group, sections)).join('')}`;
}

function groupText(group: Variable['group'], sections: readonly ConfigSection[]): string {
  const rows = Object.entries(VARIABLES)
    .filter(([, variable]) => variable.group === group)
    .map(([name, variable]) => rowText(name, variable, sections));
  const marks = Object.values(COLUMNS);
  const head = `| variable | default | meaning | form | ${marks.join(' | ')} | reference |`;
  return `\n## ${group}\n\n${head}\n|${' --- |'.repeat(5 + marks.length)}\n${rows.join('\n')}\n`;
}

/** A setting as one service reads it from one variable. */
export interface Reading {
  readonly service: string;
  readonly type: z.ZodType;
  /** The variable that wins; the others of the setting stand for it. */
  readonly main: string;
}

export function readingsOf(variable: string, sections: readonly ConfigSection[]): readonly Reading[] {
  return sections.flatMap(({ service, schema, names }) =>
    Object.entries(names).flatMap(([field, variables]) =>
      variables.includes(variable)
        ? [{ service, type: schema.shape[field] as z.ZodType, main: variables[0] as string }]
        : [],
    ),
  );
}

function rowText(name: string, variable: Variable, sections: readonly ConfigSection[]): string {
  const readings = readingsOf(name, sections);
  // One that is a setting of its own in one place may stand for another in a second one.
  const first = readings.find(({ main }) => main === name) ?? readings[0];
  const marks = Object.keys(COLUMNS).map((service) => (readings.some((r) => r.service === service) ? '×' : ''));
  const cells =
    first === undefined
      ? [`\`${name}\``, variable.default === undefined ? '' : code(variable.default), '', '']
      : first.main !== name
        ? [`\`${name}\``, '', `Stands for \`${first.main}\`.`, '']
        : [`\`${name}\``, defaultText(first.type), first.type.description ?? '', formText(first.type)];
  return `| ${[...cells, ...marks, referenceText(variable)].map(escape).join(' | ')} |`;
}

function referenceText({ use, notYet, always, instead, note }: Variable): string {
  const words = [
    use,
    notYet ? 'not yet' : undefined,
    always ? 'not needed' : undefined,
    instead === undefined ? undefined : `renamed to \`${instead}\``,
  ];
  const text = words.filter((word) => word !== undefined).join(', ');
  return [text, note].filter((part) => part !== undefined && part !== '').join(': ');
}

const escape = (text: string): string => text.replaceAll('|', '\\|');
const code = (text: string): string => (text === '–' ? text : `\`${text}\``);

/** Unless a form is stated, the text that a parser refuses a nonsensical value with says what it accepts. */
export function formText(type: z.ZodType): string {
  const stated =
    type.meta()?.['form'] ?? (type instanceof z.ZodOptional && (type.unwrap() as z.ZodType).meta()?.['form']);
  if (typeof stated === 'string') return stated;
  const result = type.safeParse('\u0001');
  if (result.success) return 'text';
  return (result.error.issues[0]?.message ?? '').replace(/^expected /, '');
}

export function defaultText(type: z.ZodType): string {
  const parsed = type.safeParse(undefined);
  if (!parsed.success) return 'required';
  const value: unknown = parsed.data;
  if (value === undefined || (Array.isArray(value) && value.length === 0)) return '–';
  if (typeof value !== 'number') return code(typeof value === 'string' ? value : JSON.stringify(value));
  const form = formText(type);
  if (form.startsWith('a duration') || form.startsWith('always')) return code(duration(value));
  return code(form.startsWith('a size') ? size(value) : String(value));
}

function duration(ms: number): string {
  if (ms > 0 && ms % 3_600_000 === 0) return `${ms / 3_600_000}h`;
  if (ms > 0 && ms % 60_000 === 0) return `${ms / 60_000}min`;
  return ms % 1_000 === 0 ? `${ms / 1_000}s` : `${ms}ms`;
}

function size(bytes: number): string {
  for (const [unit, factor] of [
    ['GiB', 1024 ** 3],
    ['MiB', 1024 ** 2],
    ['KiB', 1024],
  ] as const) {
    if (bytes > 0 && bytes % factor === 0) return `${bytes / factor}${unit}`;
  }
  return String(bytes);
}
