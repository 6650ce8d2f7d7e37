import { describe, expect, test } from '@jest/globals';
import { loadUsable } from './config.ts';

type Cluster = { name: string; server: string; skipTLSVerify: boolean };

function found(cluster: Partial<Cluster> | null, loadFromDefault = () => undefined) {
  const whole = cluster && {
    name: 'one',
    server: 'https://kube:6443',
    skipTLSVerify: false,
    ...cluster,
  };
  return { loadFromDefault, getCurrentCluster: () => whole };
}

describe('loadUsable()', () => {
  test.each([[{}], [{ server: 'http://kube:8080', skipTLSVerify: true }]])(
    'takes %j',
    (cluster) => {
      const config = found(cluster);
      expect(loadUsable(config)).toBe(config);
    },
  );

  test.each<[string, ReturnType<typeof found>]>([
    ['http://localhost:8080 is not https', found({ server: 'http://localhost:8080' })],
    ['its current context names no cluster', found(null)],
    [
      'ENOENT',
      found({}, () => {
        throw new Error('ENOENT');
      }),
    ],
  ])('refuses before anything runs: %s', (why, config) => {
    expect(() => loadUsable(config)).toThrow(
      expect.objectContaining({
        code: 'INVALID_CONFIG',
        message: expect.stringContaining(
          `neither KUBECONFIG nor ~/.kube/config leads to one (${why}`,
        ),
      }),
    );
  });
});
