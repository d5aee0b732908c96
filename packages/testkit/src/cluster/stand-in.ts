import { createServer } from 'node:http';

/**
 * Stands in for a service in tests of the cluster runner: says it is ready, and dies or stalls when told to. The first
 * replicator leads.
 */
const name = process.env['SHAPECAST_INSTANCE_ID'] ?? '';
const port = Number(process.env['ELECTRIC_PORT'] ?? process.env['SHAPECAST_HEALTH_PORT']);
const server = createServer((request, response) => {
  if (request.url === '/die') process.exit(3);
  const status = name === 'replicator-1' || !name.startsWith('replicator') ? 'active' : 'waiting';
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ ready: true, status, name, pid: process.pid, env: process.env }));
});
if (process.env['ELECTRIC_STAND_IN'] === 'broken') {
  process.stderr.write('SHAPECAST_SHARDS: expected a power of two\n');
  process.exit(1);
}
server.listen(port, '127.0.0.1');
process.on('SIGTERM', () => process.exit(0));
