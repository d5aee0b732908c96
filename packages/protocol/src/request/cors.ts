/** Flat name, value list, as `writeHead` takes it. */
export type HeaderList = readonly string[];

const EXPOSED =
  'electric-cursor,electric-handle,electric-has-data,electric-offset,electric-schema,electric-up-to-date,electric-internal-known-error,electric-snapshot,electric-where-index,retry-after';

/** On every answer of `/v1/shape`, errors included (CO-1, CO-2, CO-5, CO-6). */
export const SHAPE_CORS: HeaderList = [
  'access-control-allow-origin',
  '*',
  'access-control-allow-methods',
  'GET, POST, HEAD, DELETE, OPTIONS',
  'access-control-expose-headers',
  EXPOSED,
];

/** On answers of the other routes (CO-4). */
export const OTHER_CORS: HeaderList = [
  'access-control-allow-origin',
  '*',
  'access-control-allow-methods',
  'GET, HEAD',
  'access-control-expose-headers',
  EXPOSED,
];

const ALLOWED_REQUEST_HEADERS = [
  'if-none-match',
  'traceparent',
  'content-type',
  'authorization',
  'accept',
  'cache-control',
  'last-event-id',
];

/** What OPTIONS adds (CO-7, CO-8). Elements of the asked list that we allow, or the whole list when nothing was asked. */
export function preflightHeaders(asked: string | undefined): HeaderList {
  const wanted = (asked ?? '').split(',').map((name) => name.trim().toLowerCase());
  const allowed =
    asked === undefined ? ALLOWED_REQUEST_HEADERS : ALLOWED_REQUEST_HEADERS.filter((name) => wanted.includes(name));
  return [
    'access-control-max-age',
    '86400',
    ...(allowed.length > 0 ? ['access-control-allow-headers', allowed.join(', ')] : []),
  ];
}
