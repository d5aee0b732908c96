import { defineConfig } from 'vitest/config';

/** The tests against a real Kubernetes API server: `npm run test:k8s`, which builds it first. Not part of `npm test`. */
export default defineConfig({
  test: {
    root: import.meta.dirname,
    include: ['**/*.test.ts'],
    globalSetup: ['global-setup.ts'],
    // They share one API server, and keep apart by namespace.
    maxWorkers: 2,
    // Hang detectors, not measurements: a rollout takes as long as its controllers need.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    pool: 'forks',
  },
});
