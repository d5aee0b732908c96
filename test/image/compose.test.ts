import { existsSync, readFileSync } from 'node:fs';
import { parseApiConfig } from '@shapecast/api';
import { parseReplicatorConfig } from '@shapecast/replicator';
import { parseRouterConfig } from '@shapecast/router';
import { Ajv } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { ROOT } from '../chart/paths.ts';

interface Service {
  readonly image: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly command?: readonly string[];
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly healthcheck?: object;
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly profiles?: readonly string[];
}

const read = (path: string) => readFileSync(`${ROOT}/${path}`, 'utf8');
const compose = parse(read('compose.yaml'), { merge: true }) as { services: Record<string, Service> };
const { services } = compose;
const service = (name: string) => services[name] as Service;

describe('compose.yaml', () => {
  test.each(['compose.yaml', 'compose.override.yaml.example'])(
    '%s is what the Compose Specification allows',
    (file) => {
      const schema = JSON.parse(read('test/image/schemas/compose-spec.json')) as { $schema: string };
      const options = { strict: false, allowUnionTypes: true, allErrors: true, validateFormats: false };
      const ajv = schema.$schema.includes('2020') ? new Ajv2020(options) : new Ajv(options);
      const validate = ajv.compile(schema);
      expect(validate(parse(read(file), { merge: true })) ? [] : validate.errors).toEqual([]);
      expect(validate({ services: { a: { imag: 'b' } } })).toBe(false);
    },
  );

  test('has all roles and what they need, two routers and two API processes', () => {
    const always = Object.entries(services).flatMap(([name, { profiles }]) => (profiles ? [] : [name]));
    expect(always).toEqual(['postgres', 'nats', 'valkey', 'replicator', 'router', 'api', 'balancer', 'edge']);
    expect(service('router')).toMatchObject({ deploy: { replicas: 2 } });
    expect(service('api')).toMatchObject({ deploy: { replicas: 2 } });
  });

  test('gives the roles an environment that they take', () => {
    // What stands in ${NAME:-default} comes from the environment of whoever starts it.
    const environment = (name: string) =>
      Object.fromEntries(
        Object.entries(service(name).environment ?? {}).map(([key, value]) => [
          key,
          value.replace(/^\$\{\w+:-(.*)\}$/, '$1'),
        ]),
      );
    expect(() => parseReplicatorConfig(environment('replicator'))).not.toThrow();
    expect(() => parseRouterConfig(environment('router'))).not.toThrow();
    expect(() => parseApiConfig(environment('api'))).not.toThrow();
    for (const role of ['replicator', 'router', 'api']) expect(service(role).command).toEqual([role]);
  });

  test('waits for the servers to be well, and says how to see that', () => {
    for (const role of ['replicator', 'router', 'api']) {
      const conditions = Object.values(service(role).depends_on ?? {}).map(({ condition }) => condition);
      expect(conditions).toEqual(['service_healthy', 'service_healthy', 'service_healthy']);
    }
    for (const server of ['postgres', 'nats', 'valkey']) expect(service(server).healthcheck).toBeDefined();
    expect(service('postgres').command).toContain('wal_level=logical');
    expect(service('valkey').command).toEqual(expect.arrayContaining(['--appendonly', 'noeviction']));
  });

  test('names no image without a version, and no port to the outside world', () => {
    for (const { image, ports = [] } of Object.values(services)) {
      expect(image).toMatch(/:(?!latest)[^:]+$/);
      for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/);
    }
    const ports = Object.values(services).flatMap((one) => one.ports ?? []);
    expect(new Set(ports).size).toBe(ports.length);
  });

  test('mounts only files that are there', () => {
    const files = Object.values(services)
      .flatMap((one) => one.volumes ?? [])
      .flatMap((volume) => (volume.startsWith('./') ? [volume.split(':')[0] as string] : []));
    expect(files.length).toBeGreaterThan(2);
    expect(files.filter((file) => !existsSync(`${ROOT}/${file}`))).toEqual([]);
  });
});
