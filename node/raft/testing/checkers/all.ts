/** All checkers, fresh for one run. */
import type { Checker } from '../simCluster.ts';
import { committedIsDurable } from './committedIsDurable.ts';
import { electionSafety } from './electionSafety.ts';
import { leaderAppendOnly } from './leaderAppendOnly.ts';
import { leaderCompleteness } from './leaderCompleteness.ts';
import { logMatching } from './logMatching.ts';
import { readsAreLinearizable } from './readsAreLinearizable.ts';
import { stateMachineSafety } from './stateMachineSafety.ts';

export function allCheckers(): Checker[] {
  return [
    electionSafety(),
    leaderAppendOnly(),
    logMatching(),
    leaderCompleteness(),
    stateMachineSafety(),
    committedIsDurable(),
    readsAreLinearizable(),
  ];
}
