// A million damaged inputs for each decoder take longer than a test may else (scripts/fuzz.ts).
const isFuzzing = process.env.FUZZ_COUNT !== undefined;

export default {
  testTimeout: isFuzzing ? 600_000 : 5_000,
  testEnvironment: 'node',
  testMatch: ['**/*.test.ts'],
  testPathIgnorePatterns: ['/node_modules/', '/dist/'],
  modulePathIgnorePatterns: ['<rootDir>/dist/'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: { parser: { syntax: 'typescript' }, target: 'es2024' },
        module: { type: 'commonjs' },
        sourceMaps: 'inline',
      },
    ],
  },
};
