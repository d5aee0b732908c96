const SOURCES = 200;

/** ci/many-tenants-values.yaml: as many sources as one installation may well have. */
export function manySourcesValues(): string {
  const sources = Array.from({ length: SOURCES }, (_, i) => {
    const id = `tenant-${String(i + 1).padStart(3, '0')}`;
    // One Secret each, as a platform makes them; the first has limits of its own, the last is on its way out.
    const lines = [
      `  ${id}:`,
      `    displayName: Tenant ${i + 1}`,
      `    databaseUrlFrom: { secretKeyRef: { name: ${id}, key: database-url } }`,
    ];
    lines.push(`    secretFrom: { secretKeyRef: { name: ${id}, key: secrets } }`);
    if (i === 0) lines.push('    limits: { maxShapes: 10000, requestsPerSecond: 500, redisBytes: 20GiB }');
    if (i === SOURCES - 1) lines.push('    state: removed');
    return lines.join('\n');
  });
  return `# ${SOURCES} databases of tenants, each with a Secret of its own. Made by \`npm run test:chart -- --write\`.
mode: many-sources
defaults: { image: { registry: registry.example.com } }
externalNats: { url: 'nats://nats.nats:4222' }
externalRedis: { url: 'redis://redis.redis:6379' }
sourcesKeys: { existingSecret: shapecast-source-keys }
replicator: { replicaCount: 6 }
sources:
${sources.join('\n')}
`;
}
