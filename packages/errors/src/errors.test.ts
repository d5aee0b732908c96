import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { ERRORS, ShapecastError, isShapecastError } from './errors.ts';

describe('error codes', () => {
  test('the page of error codes and the list in code name the same codes', () => {
    const page = readFileSync(new URL('../../../docs/errors.md', import.meta.url), 'utf8');
    const headings = [...page.matchAll(/^## (\S+)$/gm)].map((match) => match[1]);
    expect(headings.toSorted()).toEqual(Object.keys(ERRORS).toSorted());
  });
});

describe('ShapecastError', () => {
  test('derives status and retryability from its code and keeps the cause', () => {
    const cause = new Error('connection refused');
    const error = new ShapecastError('SOURCE_UNAVAILABLE', 'Postgres does not answer', { attempt: 2 }, cause);
    expect([error.status, error.retryable, error.cause]).toEqual([503, true, cause]);
  });

  test('is told from other errors, by code if asked', () => {
    const error = new ShapecastError('INVALID_REQUEST', 'bad');
    expect(isShapecastError(error)).toBe(true);
    expect(isShapecastError(error, 'INVALID_REQUEST')).toBe(true);
    expect(isShapecastError(error, 'NOT_READY')).toBe(false);
    expect(isShapecastError(new Error('x'))).toBe(false);
  });
});
