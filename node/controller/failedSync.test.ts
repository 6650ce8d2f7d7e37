import { expect, test } from '@jest/globals';
import { Scenario } from './testing/scenario.ts';

test('A record is not acknowledged by a copy whose sync failed before a restart', async () => {
  const scenario = await Scenario.start({});
  const { cluster } = scenario;
  await scenario.write(40);
  await cluster.run(1000);
  const leader = scenario.leader();
  const { segmentId } = scenario.segment();
  const [broken, away] = scenario.followers();
  cluster.kill(away!);
  await cluster.run(50);
  broken!.disk.failSyncs();
  const outcome = scenario.append(leader);
  await cluster.run(100);
  if (broken!.isRunning) cluster.kill(broken!);
  broken!.disk.heal();
  cluster.start(broken!); // as a supervisor does
  await cluster.runUntil(() => outcome.isSettled, 10_000);
  expect(outcome.error).toBeNull();

  cluster.crash(broken!);
  cluster.kill(leader);
  leader.disk.wipe(); // one disk is lost: as many as W = 2 survives
  cluster.start(broken!);
  cluster.start(away!);
  const sealed = () => broken!.parts?.metadata.metadata.segments.get(segmentId);
  await cluster.runUntil(() => sealed()?.state === 'SEALED', 20_000);
  expect(sealed()!.endOffset!).toBeGreaterThan(outcome.offset!);
});
