import { describe, expect, test } from '@jest/globals';
import type { Clock } from '../../base/clock.ts';
import { KubeError } from './api.ts';
import type { Json, KubeApi } from './api.ts';
import { MeasuredKubeApi } from './measuredApi.ts';
import type { MeasuredRequest } from './measuredApi.ts';

let nowMs = 0;
const CLOCK = { monotonicMs: () => nowMs } as Clock;

/** Every request takes 5 ms, every line of a watch a second. */
class SlowApi implements KubeApi {
  error: Error | null = null;

  request(): Promise<Json> {
    nowMs += 5;
    return this.error === null ? Promise.resolve({}) : Promise.reject(this.error);
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- as the real one, an async generator
  async *watch(): AsyncIterable<Json> {
    yield { type: 'BOOKMARK' };
    nowMs += 1000;
    if (this.error !== null) throw this.error;
  }
}

describe('a measured API server', () => {
  function measured(error: Error | null): { api: MeasuredKubeApi; seen: MeasuredRequest[] } {
    const slow = new SlowApi();
    slow.error = error;
    const seen: MeasuredRequest[] = [];
    return { api: new MeasuredKubeApi(slow, CLOCK, (request) => seen.push(request)), seen };
  }

  async function watchAll(api: MeasuredKubeApi, signal: AbortSignal): Promise<readonly Json[]> {
    const lines: Json[] = [];
    for await (const line of api.watch('/x', {}, signal)) lines.push(line);
    return lines;
  }

  test('answers as the one behind it, and tells of each request', async () => {
    const { api, seen } = measured(null);
    expect(await api.request({ method: 'PUT', path: '/x' })).toEqual({});
    expect(await watchAll(api, new AbortController().signal)).toHaveLength(1);
    expect(seen).toEqual([
      { verb: 'PUT', code: '2xx', durationMs: 5 },
      { verb: 'WATCH', code: '2xx', durationMs: 1000 },
    ]);
  });

  test.each([
    [new KubeError(409, 'Conflict', 'another was faster'), '409'],
    [new KubeError(0, 'NoAnswer', 'nobody there'), 'none'],
  ])('tells of %s', async (error, code) => {
    const { api, seen } = measured(error);
    await expect(api.request({ method: 'GET', path: '/x' })).rejects.toBe(error);
    await expect(watchAll(api, new AbortController().signal)).rejects.toBe(error);
    expect(seen.map((request) => request.code)).toEqual([code, code]);
  });

  test('does not count a watch that was ended from here', async () => {
    const { api, seen } = measured(new KubeError(0, 'NoAnswer', 'aborted'));
    await expect(watchAll(api, AbortSignal.abort())).rejects.toThrow('aborted');
    expect(seen).toEqual([]);
  });
});
