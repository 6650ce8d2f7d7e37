/** Connections over the limit are counted each, and logged now and then. */
import { expect, test } from '@jest/globals';
import { NO_METRICS } from '../metrics.ts';
import { ConnectionLimit } from './connectionLimit.ts';
import { ManualClock } from './testing/manualClock.ts';

test('ConnectionLimit counts every refusal and logs one line for many', () => {
  const clock = new ManualClock();
  const lines: unknown[] = [];
  let count = 0;
  const limit = new ConnectionLimit({
    clock,
    logger: { log: (level, message, fields) => void lines.push({ level, message, fields }) },
    metrics: { ...NO_METRICS, connectionRefused: () => void (count += 1) },
    maxConnections: 2,
  });
  expect(limit.refusal(1)).toBeNull();
  expect(limit.refusal(2)).toMatchObject({ code: 'OVERLOADED', retriable: true });
  limit.refused();
  limit.refused();
  expect(count).toBe(3);
  clock.advance(10_000);
  limit.refused();
  const message = 'connections are refused: there are too many';
  expect(lines).toEqual([
    { level: 'warn', message, fields: { refused: 1, maxConnections: 2 } },
    { level: 'warn', message, fields: { refused: 3, maxConnections: 2 } },
  ]);
});
