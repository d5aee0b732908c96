import { createServer, type RequestListener } from 'node:http';

/**
 * Stands in for a service in tests of the cluster runner: says it is ready, and dies or stalls when told to. The first
 * replicator leads.
 */
const name = process.env['SHAPECAST_INSTANCE_ID'] ?? '';
const port = Number(process.env['ELECTRIC_PORT'] ?? process.env['SHAPECAST_HEALTH_PORT']);
const serve: RequestListener = (request, response) => {
  if (request.url === '/die') process.exit(3);
  const status = name === 'replicator-1' || !name.startsWith('replicator') ? 'active' : 'waiting';
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ ready: true, status, name, pid: process.pid, env: process.env }));
};
if (process.env['ELECTRIC_STAND_IN'] === 'broken') {
  process.stderr.write('SHAPECAST_SHARDS: expected a power of two\n');
  process.exit(1);
}
for (const each of new Set([port, Number(process.env['SHAPECAST_HEALTH_PORT'])]))
  createServer(serve).listen(each, '127.0.0.1');
process.on('SIGTERM', () => process.exit(0));
