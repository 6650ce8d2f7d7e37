// `npm run e2e`: tests on a real Kubernetes (docs/testing.md). `npm test` knows nothing of them.
import base from './jest.config.mjs';

export default {
  ...base,
  testMatch: ['**/e2e/**/*.e2e.ts'],
  globalSetup: '<rootDir>/e2e/setup.ts',
  globalTeardown: '<rootDir>/e2e/teardown.ts',
  maxWorkers: 1, // they break the nodes of one cluster
  testTimeout: 300_000,
};
