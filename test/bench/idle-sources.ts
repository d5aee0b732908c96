import { randomBytes } from 'node:crypto';
import { openNatsMessaging } from '@shapecast/messaging';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { DeclaredSources, sealWith } from '@shapecast/sources';
import { startNats, startRedis, waitFor } from '@shapecast/testkit';
import { startMeasuredApi, type MeasuredApi } from './measured-api.ts';

interface IdleSourcesOptions {
  readonly sources: number;
  readonly seconds: number;
}

/**
 * What sources that nobody reads cost an API process, on real servers: its memory and its CPU with one source and with N of them, and
 * with N that were all asked for once, which serves them for a while.
 */
export async function idleSources({
  sources,
  seconds,
}: IdleSourcesOptions): Promise<Readonly<Record<string, unknown>>> {
  const [nats, redis] = await Promise.all([startNats(), startRedis()]);
  const keys = { database: randomBytes(32).toString('base64'), api: randomBytes(32).toString('base64') };
  const options = { url: nats.url, name: 'bench', replicas: 1 };
  const parts = { clock: systemClock, log: silentLogger };
  const messaging = await openNatsMessaging(options, parts, new AbortController().signal);
  const seals = { database: sealWith([keys.database]), api: sealWith([keys.api]) };
  const declared = new DeclaredSources({ registries: messaging.registries, seals, ...parts });
  const idOf = (i: number) => `source-${String(i).padStart(4, '0')}`;
  const declare = (i: number) =>
    declared.declare(idOf(i), {
      databaseUrl: `postgresql://u:p@db.example.com/${idOf(i)}`,
      secrets: [`secret of ${idOf(i)}`],
      limits: { requestsPerSecond: 100, parkedReaders: 1_000 },
    });
  const api = await startMeasuredApi(
    { natsUrl: nats.url, redisUrl: redis.url, databaseUrl: '' },
    {
      ELECTRIC_INSECURE: '',
      SHAPECAST_STREAM_REPLICAS: '1',
      SHAPECAST_SOURCES: 'registry',
      SHAPECAST_SOURCES_API_KEY: keys.api,
      SHAPECAST_READY_TIMEOUT: '500ms',
    },
  );
  try {
    await declare(0);
    const one = await measure(api, seconds);
    for (let i = 1; i < sources; i += 1) await declare(i);
    await waitFor(async () => (await statusOf(api, idOf(sources - 1))) !== 401, { timeoutMs: 60_000 });
    const idle = await measure(api, seconds);
    for (let i = 0; i < sources; i += 20) {
      await Promise.all(Array.from({ length: Math.min(20, sources - i) }, (_, j) => statusOf(api, idOf(i + j))));
    }
    const asked = await measure(api, seconds);
    const perSource = (bytes: number) => Math.round(bytes / sources);
    return {
      sources,
      one,
      idle: {
        ...idle,
        rssBytesPerSource: perSource(idle.rss - one.rss),
        heapBytesPerSource: perSource(idle.heapUsed - one.heapUsed),
      },
      served: {
        ...asked,
        rssBytesPerSource: perSource(asked.rss - one.rss),
        heapBytesPerSource: perSource(asked.heapUsed - one.heapUsed),
      },
    };
  } finally {
    await api.stop();
    await messaging.close();
    await Promise.all([nats.stop(), redis.stop()]);
  }
}

async function statusOf(api: MeasuredApi, id: string): Promise<number> {
  const query = new URLSearchParams({ table: 'items', offset: '-1', source_id: id, secret: `secret of ${id}` });
  const response = await fetch(`http://127.0.0.1:${api.port}/v1/shape?${query.toString()}`);
  await response.arrayBuffer();
  return response.status;
}

/** Over some seconds in which nothing is asked. */
async function measure(api: MeasuredApi, seconds: number) {
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  const before = await api.ask('collect');
  const began = performance.now();
  await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
  const after = await api.ask('report');
  const { rss, heapUsed } = await api.ask('collect');
  const cpuShare = (after.cpuMicros - before.cpuMicros) / 1_000 / (performance.now() - began);
  return {
    rss,
    heapUsed,
    cpuShare: Math.round(cpuShare * 10_000) / 10_000,
    longestTurnMs: Math.round(after.longestTurnMs),
  };
}
