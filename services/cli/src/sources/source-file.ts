import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Environment } from '@shapecast/service-kit';
import { parseSourcesFile, type Lookup, type ParsedSources } from '@shapecast/sources';
import { parse } from 'yaml';
import { WrongUsage } from '../command.ts';

/** Reads a file of sources as replicators do. */
export function readSources(path: string, env: Environment, flag: string): ParsedSources {
  return parseSourcesFile(textOfFile(path, flag), lookupBeside(path, env));
}

/**
 * What a file says of one source, in YAML or JSON, as the admin API takes it: files and variables that it names are those of this
 * machine, so their values go in their place. Throws WrongUsage.
 */
export function readDeclaration(path: string, env: Environment): Readonly<Record<string, unknown>> {
  const value = parsed(textOfFile(path, 'file'));
  const lookup = lookupBeside(path, env);
  const resolved: Record<string, unknown> = { ...value };
  for (const field of ['databaseUrl', 'pooledDatabaseUrl'])
    replace(resolved, field, `${field}From`, lookup, (text) => text.trim());
  const lines = (text: string) =>
    text
      .split(/\r?\n/)
      .map((line) => line.trim())
      .filter(Boolean);
  replace(resolved, 'secrets', 'secretFrom', lookup, lines);
  return resolved;
}

function replace(
  value: Record<string, unknown>,
  field: string,
  from: string,
  lookup: Lookup,
  read: (text: string) => unknown,
): void {
  const place = value[from];
  if (place === undefined) return;
  delete value[from];
  if (value[field] !== undefined) throw new WrongUsage(`${field}: excludes ${from}, set one of the two.`);
  if (!isPlace(place)) throw new WrongUsage(`${from}: expected {file: NAME} or {env: NAME}.`);
  try {
    value[field] = read(lookup(place));
  } catch (error) {
    throw new WrongUsage(`${from}: ${error instanceof Error ? error.message : 'cannot be read'}.`);
  }
}

function isPlace(value: unknown): value is Parameters<Lookup>[0] {
  if (typeof value !== 'object' || value === null) return false;
  const [[name, text] = [], ...others] = Object.entries(value) as [string, unknown][];
  return others.length === 0 && (name === 'file' || name === 'env') && typeof text === 'string';
}

/** Its own words may repeat what stands there. */
function parsed(text: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = parse(text, { prettyErrors: false, logLevel: 'silent' });
  } catch {
    throw new WrongUsage('The file of --file is no YAML.');
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new WrongUsage('The file of --file has to say what the source is: databaseUrl, secrets, limits ...');
}

function textOfFile(path: string, flag: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    throw new WrongUsage(`The file of --${flag} cannot be read.`);
  }
}

/** Paths are relative to the folder that the file is in. */
function lookupBeside(path: string, env: Environment): Lookup {
  return (from) => {
    if ('env' in from) {
      const value = env[from.env];
      if (value === undefined || value === '') throw new Error('the variable is not set');
      return value;
    }
    try {
      return readFileSync(resolve(dirname(path), from.file), 'utf8');
    } catch {
      throw new Error('the file cannot be read');
    }
  };
}
