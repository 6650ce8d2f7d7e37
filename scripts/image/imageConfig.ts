/** How the image runs. The Dockerfile says the same in its words; a test compares them. */
import type { ImageConfig } from './archive.ts';

/** Whoever it is on the machine: no name is looked up, so that Kubernetes sees that it is not root. */
export const USER_ID = 10001;

export const DATA_DIR = '/data';

export function imageConfig(version: string): ImageConfig & { readonly Env: readonly string[] } {
  return {
    User: `${USER_ID}:${USER_ID}`,
    Entrypoint: ['/usr/bin/walrus'],
    Env: ['PATH=/usr/bin', 'NODE_ENV=production', `WALRUS_DATA_DIR=${DATA_DIR}`],
    WorkingDir: '/',
    ExposedPorts: { '6001/tcp': {}, '9091/tcp': {}, '9191/tcp': {} },
    Labels: {
      'org.opencontainers.image.title': 'walrus',
      'org.opencontainers.image.description':
        'A distributed message streaming platform for Kubernetes',
      'org.opencontainers.image.version': version,
      'org.opencontainers.image.licenses': 'Apache-2.0',
    },
  };
}
