/** SetConfig: replaces the settings of the cluster. */
import type { ApplyResult, CommandOf } from '../commands.ts';
import type { MutableMetadata } from '../mutableMetadata.ts';
import { done } from '../result.ts';
import { checkConfig } from './clusterConfig.ts';

/** Replaces all settings at once. */
export function setConfig(state: MutableMetadata, command: CommandOf<'SetConfig'>): ApplyResult {
  const refusal = checkConfig(command.config);
  if (refusal !== null) return refusal;
  state.setCluster(state.clusterId, { ...command.config });
  return done();
}
