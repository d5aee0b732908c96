import { execFileSync, spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { commonConfig, commonNames } from './common-config.ts';
import { parseConfig } from './config.ts';
import { z } from 'zod';

const entry = new URL('./logger.ts', import.meta.url).href;

/** The lines of a process that writes one per level. */
function linesAt(level: string, options = ''): string[] {
  const program = `
    import { createLogger } from '${entry}';
    const log = createLogger('${level}', { service: 's' }, { ${options} });
    for (const name of ['error', 'warn', 'notice', 'info', 'debug']) log[name]({ password: 'hunter2' }, name);`;
  const { stderr } = spawnSync(process.execPath, ['--input-type=module-typescript', '-e', program], {
    encoding: 'utf8',
  });
  return stderr.split('\n').filter((line) => line !== '');
}

describe('ELECTRIC_LOG_LEVEL', () => {
  const schema = z.object(commonConfig);
  const level = (text: string) => parseConfig(schema, commonNames, { ELECTRIC_LOG_LEVEL: text }).logLevel;

  test.each([
    ['error', ['error']],
    ['warning', ['error', 'warn']],
    ['notice', ['error', 'warn', 'notice']],
    ['info', ['error', 'warn', 'notice', 'info']],
    ['debug', ['error', 'warn', 'notice', 'info', 'debug']],
  ])('%s writes what is at least as important', (text, expected) => {
    const lines = linesAt(level(text)).map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.map((line) => line['msg'])).toEqual(expected);
    expect(lines.map((line) => line['level'])).toEqual(expected);
    expect(lines.every((line) => line['password'] === '[REDACTED]')).toBe(true);
  });

  test('is one of the five', () => {
    expect(() => level('verbose')).toThrow('ELECTRIC_LOG_LEVEL: expected error, warning, notice, info or debug');
  });
});

test('what is collected has no colours, whatever is asked for', () => {
  expect(linesAt('debug', 'colors: true').join('')).not.toContain('\u001b');
});

test('on a terminal lines have the colour of their level', () => {
  const program = `
    Object.defineProperty(process.stderr, 'isTTY', { value: true });
    const { createLogger } = await import('${entry}');
    createLogger('info', {}, { colors: true }).error({}, 'x');
    createLogger('info', {}, { colors: false }).error({}, 'y');`;
  const command = `"$0" --input-type=module-typescript -e "$1" 2>&1 >/dev/null`;
  const text = execFileSync('sh', ['-c', command, process.execPath, program], { encoding: 'utf8' });
  const [x, y] = text.split('\n');
  expect(x).toMatch(/^\u001b\[31m\{.*"msg":"x"\}\u001b\[0m$/);
  expect(y).toMatch(/^\{.*"msg":"y"\}$/);
});
