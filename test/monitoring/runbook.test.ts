import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { run } from '@shapecast/cli/run';
import { ALERTS, anchorOf, RUNBOOK_PATH, seriesNames } from '@shapecast/monitoring';
import { VARIABLES, systemClock } from '@shapecast/service-kit';

const PAGE = readFileSync(new URL(`../../${RUNBOOK_PATH}`, import.meta.url), 'utf8');

/** Text of each `### ` section by its heading. */
const sections = new Map(
  PAGE.split(/^### /m)
    .slice(1)
    .map((text) => {
      const [heading = '', ...rest] = text.split('\n');
      return [heading, rest.join('\n')] as const;
    }),
);

describe('the runbook', () => {
  test('has a section for every alert, and none for alerts that there are not', () => {
    const alerts = ALERTS.map(({ name }) => name as string);
    expect([...sections.keys()].filter((heading) => heading.startsWith('Shapecast')).sort()).toEqual(alerts.sort());
  });

  test.each(ALERTS)('says of $name how bad it is, where to look and what to do', ({ name, stages }) => {
    const text = sections.get(name) ?? '';
    for (const { severity } of stages) expect(text).toContain(`\`${severity}\``);
    expect(text).toMatch(/\*\*Look|\*\*Remedy/);
    expect(text).toMatch(/\*\*(Causes and remedies|Remedy|Look and remedy)\*\*/);
  });

  test('has sections where the links of alerts lead', () => {
    const anchors = new Set([...sections.keys()].map((heading) => heading.toLowerCase().replaceAll(' ', '-')));
    expect(ALERTS.map(anchorOf).filter((anchor) => !anchors.has(anchor))).toEqual([]);
  });

  test('has what the specification asks for besides alerts (O 10)', () => {
    expect([...sections.keys()]).toEqual(
      expect.arrayContaining([
        ...['The slot was invalidated', 'WAL grows though the cluster is healthy', 'A blocked slot creation'],
        ...['A planned Postgres switch-over', 'A planned incarnation change', 'Replacing NATS or Redis'],
        ...['Restoring backups', 'Moving a source to another deployment', 'Raising the number of shards'],
        ...['Emergency stop of one source', 'Removing a source with its slot', 'Decommissioning'],
        ...['Publishing by hand', 'Poolers', 'Providers'],
      ]),
    );
  });

  test('names settings and metrics that there are', () => {
    const names = [...PAGE.matchAll(/\b(?:SHAPECAST|ELECTRIC)_[A-Z_]+\b/g)].map(([name]) => name);
    expect(names.length).toBeGreaterThan(20);
    expect(names.filter((name) => !Object.hasOwn(VARIABLES, name))).toEqual([]);
    const series = [...PAGE.matchAll(/\bshapecast_[a-z_]+\b/g)].map(([name]) => name);
    expect(series.length).toBeGreaterThan(0);
    const known = seriesNames();
    expect(series.filter((name) => !known.has(name))).toEqual([]);
  });
});

/** A command as the page has it: its words, the flags and whether an argument follows. */
const commands = [...new Set([...PAGE.matchAll(/\bshapecast ([a-z][^\n`#]*)/g)].map(([, rest = '']) => rest.trim()))]
  .map((rest) => rest.split(/\s+/))
  .filter(([first = '']) => /^(doctor|health|smoke|lag|config|sources|shapes|shards)$/.test(first));

describe('commands of the runbook', () => {
  test.each(commands.map((words) => [words.join(' '), words] as const))('shapecast %s', async (_, words) => {
    const end = words.findIndex((word) => !/^[a-z-]+$/.test(word) || word.startsWith('-'));
    const name = end < 0 ? words : words.slice(0, end);
    const lines: string[] = [];
    const world = {
      ...{ env: {}, clock: systemClock, fetch, signal: new AbortController().signal, colours: false },
      ...{ out: (text: string) => lines.push(text), err: (text: string) => lines.push(text) },
    };
    expect(await run([...name, '--help'], world)).toBe(0);
    const help = lines.join('\n');
    expect(help).toContain(`Usage: shapecast ${name.join(' ')}`);
    const flags = words.filter((word) => word.startsWith('--'));
    expect(flags.filter((flag) => !help.includes(`  ${flag}`))).toEqual([]);
    const argument = end < 0 ? undefined : words[end];
    if (argument !== undefined && /^[A-Z]+$/.test(argument)) expect(help).toContain(`${name.join(' ')} ${argument} `);
  });

  test('are many', () => {
    expect(commands.length).toBeGreaterThan(12);
  });
});
