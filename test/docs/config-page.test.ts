import { readFileSync } from 'node:fs';
import { VARIABLES } from '@shapecast/service-kit';
import { describe, expect, test } from 'vitest';
import type { z } from 'zod';
import { defaultText, formText, readingsOf } from './config-page.ts';
import { configSections, expectedConfigPage } from './sections.ts';

test('the settings page says what the code reads', () => {
  const page = readFileSync(new URL('../../docs/config.md', import.meta.url), 'utf8');
  expect(page).toBe(expectedConfigPage());
});

describe('the settings of the services', () => {
  const read = new Set(configSections.flatMap(({ names }) => Object.values(names).flat()));

  test('are all in the list of variables, so that no service warns of what another one reads', () => {
    expect([...read].filter((name) => !Object.hasOwn(VARIABLES, name))).toEqual([]);
  });

  test('are read by some service, or said to be ignored or without effect so far', () => {
    const unread = Object.entries(VARIABLES).filter(([name]) => !read.has(name) && name !== 'ELECTRIC_FEATURE_FLAGS');
    const said = unread.filter(([, { use, notYet, always }]) => use === 'ignored' || notYet || always);
    expect(unread.filter((one) => !said.includes(one)).map(([name]) => name)).toEqual([]);
  });

  test('are not said to be without effect where a service reads them', () => {
    const wrong = Object.entries(VARIABLES).filter(([name, { use, notYet }]) => {
      return read.has(name) && (use === 'ignored' || notYet);
    });
    expect(wrong.map(([name]) => name)).toEqual([]);
  });

  test('have one form, default and meaning wherever they are read', () => {
    const differing = [...read].filter((name) => {
      // Embedded mode is for one machine: other addresses, and a database of its own.
      const readings = readingsOf(name, configSections).filter(({ service }) => service !== 'embedded');
      // A setting of its own may stand for another one, where it is that: the health port is on the admin port.
      const own = readings.filter(({ main }) => main === name);
      const texts = (own.length > 0 ? own : readings).map(({ type, main }) =>
        [main, formText(type), defaultText(type), type.description].join(),
      );
      return new Set(texts).size > 1;
    });
    expect(differing).toEqual([]);
  });

  test('say what they mean', () => {
    const silent = configSections.flatMap(({ schema }) =>
      Object.entries(schema.shape as Record<string, z.ZodType>).flatMap(([field, type]) =>
        type.description ? [] : [field],
      ),
    );
    expect(silent).toEqual([]);
  });
});
