import { expect, test } from '@jest/globals';
import { nodeId } from '../../base/units.ts';
import { TestCluster, close, createTopic, plan } from '../state/testing/fixture.ts';
import { topicState } from './textStatus.ts';

test('STATE has the ancestor’s fields first, and names damaged copies', () => {
  const cluster = new TestCluster(3).ok(createTopic('t', plan(1, 1, 2, 3)), close(1));
  const session = { damagedNodes: (id: number) => (id === 1 ? [nodeId(3)] : []) };
  const text = topicState(cluster.state, session, cluster.state.topics.get('t')!);
  expect(JSON.parse(text)).toEqual({
    current_segment: 2,
    leader_node: 2,
    last_sealed_entry_offset: 100,
    sealed_segments: { 1: 100 },
    segment_leaders: { 1: 1, 2: 2 },
    partition: 0,
    damaged_copies: { 1: [3] },
  });
  expect(text.startsWith('{"current_segment":2,"leader_node":2,"last_sealed')).toBe(true);
});
