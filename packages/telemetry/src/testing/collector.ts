import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

type Values = Readonly<Record<string, string | number | boolean>>;

export interface ReceivedSpan {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  /** 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  readonly kind: number;
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Values;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  /** 2: it went wrong. */
  readonly status: number;
  readonly resource: Values;
}

export interface ReceivedMetric {
  readonly name: string;
  readonly unit: string;
  readonly resource: Values;
  /** 2: cumulative. */
  readonly temporality: number | undefined;
  readonly points: readonly {
    readonly attributes: Values;
    readonly value: number | undefined;
    readonly count: number | undefined;
    readonly buckets: readonly number[] | undefined;
  }[];
}

export interface Collector {
  /** What OTEL_EXPORTER_OTLP_ENDPOINT is set to; with the protocol http/json. */
  readonly url: string;
  readonly spans: ReceivedSpan[];
  /** Of every push, oldest first. */
  readonly metrics: ReceivedMetric[];
  readonly requests: { readonly path: string; readonly headers: Values; readonly body: Buffer }[];
  /** What it does from now on: take what comes, refuse it, or leave it without an answer. */
  mode: 'take' | 'refuse' | 'hang';
  stop(): Promise<void>;
}

/** A collector for tests, on loopback. Keeps what it is sent as JSON; of the other form just the bytes. */
export async function startCollector(port = 0): Promise<Collector> {
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const body = Buffer.concat(parts);
      collector.requests.push({ path: request.url ?? '', headers: request.headers as Values, body });
      if (collector.mode === 'hang') return;
      if (collector.mode === 'refuse') return void response.writeHead(400).end();
      if (request.headers['content-type'] === 'application/json') take(collector, request.url ?? '', body);
      response.writeHead(200, { 'content-type': request.headers['content-type'] }).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const collector: Collector = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans: [],
    metrics: [],
    requests: [],
    mode: 'take',
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return collector;
}

interface Pair {
  readonly key: string;
  readonly value: Readonly<Record<string, string | number | boolean>>;
}

interface Batch {
  readonly resource: { readonly attributes: readonly Pair[] };
}

interface SpanBatch extends Batch {
  readonly scopeSpans: readonly { readonly spans: readonly SentSpan[] }[];
}

interface SentSpan {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes?: readonly Pair[];
  readonly links?: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly status?: { readonly code?: number };
}

interface MetricBatch extends Batch {
  readonly scopeMetrics: readonly { readonly metrics: readonly SentMetric[] }[];
}

interface SentData {
  readonly aggregationTemporality?: number;
  readonly dataPoints: readonly {
    readonly attributes?: readonly Pair[];
    readonly asDouble?: number;
    readonly asInt?: number | string;
    readonly count?: number | string;
    readonly bucketCounts?: readonly (number | string)[];
  }[];
}

interface SentMetric {
  readonly name: string;
  readonly unit?: string;
  readonly sum?: SentData;
  readonly gauge?: SentData;
  readonly histogram?: SentData;
}

function take(collector: Collector, path: string, body: Buffer): void {
  const sent = JSON.parse(body.toString()) as {
    readonly resourceSpans?: readonly SpanBatch[];
    readonly resourceMetrics?: readonly MetricBatch[];
  };
  for (const { resource, scopeSpans } of path === '/v1/traces' ? (sent.resourceSpans ?? []) : []) {
    for (const span of scopeSpans.flatMap(({ spans }) => spans)) {
      collector.spans.push({
        ...span,
        parentSpanId: span.parentSpanId,
        startMs: Number(span.startTimeUnixNano) / 1e6,
        endMs: Number(span.endTimeUnixNano) / 1e6,
        attributes: values(span.attributes),
        links: span.links ?? [],
        status: span.status?.code ?? 0,
        resource: values(resource.attributes),
      });
    }
  }
  for (const { resource, scopeMetrics } of path === '/v1/metrics' ? (sent.resourceMetrics ?? []) : []) {
    for (const { name, unit = '', sum, gauge, histogram } of scopeMetrics.flatMap(({ metrics }) => metrics)) {
      const data = sum ?? gauge ?? histogram;
      const points = (data?.dataPoints ?? []).map(({ attributes, asDouble, asInt, count, bucketCounts }) => ({
        attributes: values(attributes),
        value: asDouble ?? (asInt === undefined ? undefined : Number(asInt)),
        count: count === undefined ? undefined : Number(count),
        buckets: bucketCounts?.map(Number),
      }));
      const about = { name, unit, resource: values(resource.attributes), temporality: data?.aggregationTemporality };
      collector.metrics.push({ ...about, points });
    }
  }
}

function values(pairs: readonly Pair[] = []): Values {
  return Object.fromEntries(pairs.map(({ key, value }) => [key, Object.values(value)[0] ?? '']));
}
