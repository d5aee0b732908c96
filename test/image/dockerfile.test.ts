import { readFileSync } from 'node:fs';
import { expect, describe, test } from 'vitest';
import { ignoring, parseDockerfile, resolved } from './dockerfile.ts';
import { ROOT } from '../chart/paths.ts';

const read = (path: string) => readFileSync(`${ROOT}/${path}`, 'utf8');
const dockerfile = parseDockerfile(read('deploy/docker/Dockerfile'));
const final = dockerfile.stages.at(-1);
const step = (name: string) => final?.steps.filter((one) => one.name === name).map(({ rest }) => rest) ?? [];

describe('the Dockerfile', () => {
  test('builds in stages, from images that are named by argument, so that they can be pinned, and never latest', () => {
    const names = dockerfile.stages.map(({ name }) => name);
    expect(names).toEqual(['prune', 'deps', 'build', 'final']);
    const images = dockerfile.stages.map(({ from }) => from).filter((from) => !names.includes(from));
    for (const image of images) {
      expect(image).toMatch(/^\$\{\w+\}$/);
      expect(resolved(dockerfile, image)).toMatch(/^[\w.-]+\.[a-z]+\/\S+:(?!latest)\S+$/);
    }
  });

  test('ends as nobody in particular, without a shell, and says what it is', () => {
    expect(step('USER')).toEqual(['65532:65532']);
    expect(step('STOPSIGNAL')).toEqual(['SIGTERM']);
    expect(JSON.parse(step('ENTRYPOINT')[0] ?? '')).toEqual([
      '/nodejs/bin/node',
      '--enable-source-maps',
      '/app/shapecast.js',
    ]);
    expect(JSON.parse(step('CMD')[0] ?? '')).toEqual(['--help']);
    const [check = ''] = step('HEALTHCHECK');
    expect(JSON.parse(check.replace(/^CMD /, ''))).toContain('/app/shapecast.js');
    const labels = [
      'title',
      'description',
      'source',
      'revision',
      'version',
      'created',
      'licenses',
      'base.name',
      'base.digest',
    ];
    for (const label of labels) expect(step('LABEL').join()).toContain(`org.opencontainers.image.${label}=`);
    expect(final?.steps.filter(({ name }) => name === 'RUN')).toEqual([]);
  });

  test('takes nothing from the network but with npm, and no secret', () => {
    const all = dockerfile.stages.flatMap(({ steps }) => steps);
    expect(all.filter(({ name }) => name === 'ADD')).toEqual([]);
    const text = read('deploy/docker/Dockerfile');
    expect(text).not.toMatch(/curl|wget|apt-get|apk /);
    expect(text).not.toMatch(/^(ARG|ENV) .*(TOKEN|PASSWORD|SECRET)/m);
  });

  test('opens the ports that the chart names, and has the health port of the chart', () => {
    expect(step('EXPOSE')).toEqual(['3000 3001 9090']);
    expect(step('ENV').join()).toContain('SHAPECAST_HEALTH_PORT=9090');
  });

  test('has the version of the project, and the turbo of its lock file', () => {
    const { version } = JSON.parse(read('package.json')) as { version: string };
    expect(step('ARG')).toContain(`VERSION=${version}`);
    const lock = JSON.parse(read('package-lock.json')) as { packages: Record<string, { version?: string }> };
    const turbo = lock.packages['node_modules/turbo']?.version;
    expect(dockerfile.stages[0]?.steps.at(-1)?.rest).toContain(`turbo@${turbo} `);
  });
});

describe('.dockerignore', () => {
  const ignored = ignoring(read('.dockerignore'));

  test.each([
    '.git/HEAD',
    'node_modules/pg/index.js',
    'test/bench/main.ts',
    'deploy/helm/README.md',
    'a/b/dist/x.js',
    'x.log',
  ])('keeps %s out', (path) => {
    expect(ignored(path)).toBe(true);
  });

  test.each([
    'package.json',
    'package-lock.json',
    '.npmrc',
    'turbo.json',
    'services/api/src/main.ts',
    'test/package.json',
    'deploy/docker/bundle.ts',
  ])('lets %s in', (path) => {
    expect(ignored(path)).toBe(false);
  });
});
