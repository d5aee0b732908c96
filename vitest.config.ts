import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['packages/*/src/**/*.test.ts', 'services/*/src/**/*.test.ts', 'test/**/*.test.ts'],
    // `npm run test:k8s` has a configuration of its own: its servers take Go twenty minutes to build.
    exclude: ['**/node_modules/**', 'test/k8s/**'],
    globalSetup: ['packages/testkit/src/vitest/global-setup.ts'],
    // The tests start real servers, and the machines we aim at have two cores; but much of the time they wait.
    maxWorkers: 3,
    // A hang detector, not a measurement: real servers start inside some tests.
    testTimeout: 120_000,
    hookTimeout: 180_000,
    pool: 'forks',
  },
});
