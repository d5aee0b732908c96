import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

const css = readFileSync(new URL('../console/console.css', import.meta.url), 'utf8');

/** The colours of a theme by name: those of the dark one are the second block. */
function colours(theme: 'light' | 'dark'): ReadonlyMap<string, string> {
  const [light = '', dark = ''] = [...css.matchAll(/:root \{([^}]*)\}/g)].map(([, block]) => block ?? '');
  const block = theme === 'light' ? light : dark;
  return new Map(
    [...block.matchAll(/--([\w-]+): (#[0-9a-f]{6})/g)].map(([, name, value]) => [name ?? '', value ?? '']),
  );
}

/** Relative luminance of WCAG 2. */
function luminance(colour: string): number {
  const [r = 0, g = 0, b = 0] = [1, 3, 5]
    .map((at) => Number.parseInt(colour.slice(at, at + 2), 16) / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a: string, b: string): number {
  const [darker = 0, lighter = 0] = [luminance(a), luminance(b)].sort((one, two) => one - two);
  return (lighter + 0.05) / (darker + 0.05);
}

describe.each(['light', 'dark'] as const)('the %s colours of the console', (theme) => {
  const all = colours(theme);
  const colour = (name: string) => all.get(name) ?? '';

  test.each([
    ...['text', 'soft', 'accent', 'ok', 'warn', 'bad'].flatMap((name) => [
      [name, 'card'],
      [name, 'page'],
    ]),
    ...['ok', 'warn', 'bad'].map((name) => [name, `${name}-back`]),
    ['text', 'quiet-back'],
    ['accent-text', 'accent'],
  ])('%s can be read on %s', (text, back) => {
    expect(contrast(colour(text), colour(back))).toBeGreaterThanOrEqual(4.5);
  });

  test.each(['first', 'second'])('the %s line of a chart can be seen', (line) => {
    expect(contrast(colour(line), colour('card'))).toBeGreaterThanOrEqual(3);
  });
});

test('every colour of the page has both themes', () => {
  const names = [...colours('light').keys()];
  expect(names.length).toBeGreaterThan(10);
  expect([...colours('dark').keys()].sort()).toEqual(names.sort());
  const [, rules = ''] = /@media \(prefers-color-scheme: dark\) \{[\s\S]*?\n\}\n([\s\S]*)/.exec(css) ?? [];
  expect(rules).not.toMatch(/#[0-9a-f]{3,6}\b/);
});
