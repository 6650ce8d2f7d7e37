/** Bootstrap: gives the cluster its id and settings, once. */
import type { ApplyResult, CommandOf } from '../commands.ts';
import type { MutableMetadata } from '../mutableMetadata.ts';
import { done, refuse } from '../result.ts';
import { checkConfig } from './clusterConfig.ts';
import { isIdentifier } from './names.ts';

/** The first command of a cluster. A second one is refused, whatever it says. */
export function bootstrap(state: MutableMetadata, command: CommandOf<'Bootstrap'>): ApplyResult {
  if (state.isBootstrapped) {
    return refuse(
      'CONFLICT',
      `Cannot bootstrap: this is cluster ${state.clusterId} already; join it instead`,
    );
  }
  if (!isIdentifier(command.clusterId)) {
    return refuse('MALFORMED', 'Cannot bootstrap: a cluster id is 32 lower-case hex digits');
  }
  const refusal = checkConfig(command.config);
  if (refusal !== null) return refusal;
  state.setCluster(command.clusterId, { ...command.config });
  return done();
}
