/** Before all tests of `npm run e2e`: a cluster. One that runs is used as it is, and left; else it is made, and removed. */
import { ForeignCluster, openCluster, startCluster } from './kube/cluster.ts';
import { DEFAULT_NAME } from './kube/spec.ts';

/** What the set-up tells the tear-down, in this process. */
export const STARTED = 'WALRUS_E2E_STARTED';

export default async function setup(): Promise<void> {
  const foreign = process.env['E2E_KUBECONFIG'] ?? '';
  if (foreign !== '') {
    await new ForeignCluster(foreign).kubectl(['get', 'nodes']);
    return;
  }
  const running = await openCluster(DEFAULT_NAME);
  if (running !== undefined && (await running.isReady())) return;
  await startCluster({}, (line) => process.stderr.write(`e2e: ${line}\n`));
  process.env[STARTED] = DEFAULT_NAME;
}
