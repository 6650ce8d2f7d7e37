/** After all tests of `npm run e2e`: removes the cluster that the set-up has made. */
import { openCluster } from './kube/cluster.ts';
import { STARTED } from './setup.ts';

export default async function teardown(): Promise<void> {
  const name = process.env[STARTED];
  if (name !== undefined) await (await openCluster(name))?.stop();
}
