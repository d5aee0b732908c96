import { ShapeStream } from '@electric-sql/client';
import { useShape } from '@electric-sql/react';
import { createElement } from 'react';
import { createRoot } from 'react-dom/client';

/** Set by the address: where the API is, which table, and whether to stream. */
const settings = new URLSearchParams(location.search);
const url = settings.get('api') ?? '';
const table = settings.get('table') ?? '';

function Rows() {
  const { data, isLoading, isError, error } = useShape<{ id: number; title: string }>({
    url,
    params: { table },
    liveSse: settings.has('sse'),
    // Not one of the headers that a browser sends to another origin without asking first.
    headers: settings.has('preflight') ? { authorization: 'Bearer of-the-application' } : {},
    warnOnHttp: false,
  });
  const state = isError ? `error: ${String(error)}` : isLoading ? 'loading' : 'ready';
  const rows = data.map((row) => `${row.id} ${row.title}`).sort();
  return createElement('ul', { title: state }, ...rows.map((row) => createElement('li', { key: row }, row)));
}

const root = document.createElement('main');
document.body.append(root);
createRoot(root).render(createElement(Rows));

declare global {
  interface Window {
    /** A page of the table by POST, for which a browser asks the API first whether it may. */
    fetchSubset: (where: string) => Promise<readonly unknown[]>;
  }
}

window.fetchSubset = async (where) => {
  const stream = new ShapeStream({
    url,
    params: { table },
    log: 'changes_only',
    subsetMethod: 'POST',
    warnOnHttp: false,
  });
  const { data } = await stream.fetchSnapshot({ where, orderBy: 'id', limit: 5 });
  return data.map(({ value }) => value);
};
