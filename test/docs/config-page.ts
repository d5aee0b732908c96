import type { z } from 'zod';

interface Section {
  readonly title: string;
  readonly schema: z.ZodObject;
  readonly names: Readonly<Record<string, readonly string[]>>;
}

const INTRO = `# Settings

Every setting is an environment variable, read once at start. A bad value stops the start and names the variable and the form
it accepts. Durations are \`500ms\`, \`10s\`, \`2min\` or a bare number of milliseconds; sizes are \`1048576\`, \`512KiB\`,
\`20GB\`. Variables of the reference (\`ELECTRIC_*\`) mean the same here.

This page is made from the code by \`npm run docs:config\`; a test compares the two.
`;

/** The settings page: one table per service, from the declarations that also parse the environment. */
export function configPage(sections: readonly Section[]): string {
  return `${INTRO}${sections.map(sectionText).join('')}`;
}

function sectionText({ title, schema, names }: Section): string {
  const rows = Object.entries(schema.shape).map(([field, type]) => {
    const variables = (names[field] ?? []).map((name) => `\`${name}\``).join(', ');
    return `| ${variables} | ${defaultText(type as z.ZodType)} | ${(type as z.ZodType).description ?? ''} |`;
  });
  return `\n## ${title}\n\n| variable | default | meaning |\n| --- | --- | --- |\n${rows.join('\n')}\n`;
}

function defaultText(type: z.ZodType): string {
  const parsed = type.safeParse(undefined);
  if (!parsed.success) return 'required';
  const value: unknown = parsed.data;
  if (value === undefined || (Array.isArray(value) && value.length === 0)) return '–';
  return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;
}
