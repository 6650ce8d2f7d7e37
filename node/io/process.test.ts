import { afterEach, describe, expect, jest, test } from '@jest/globals';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { crc32c, portableCrc32c } from '../../base/crc32c.ts';
import { SILENT } from '../../base/log.ts';
import type { LogLevel } from '../../base/log.ts';
import { ConsoleLogger, lineWriter } from './consoleLogger.ts';
import { installNativeCrc32c } from './nativeCrc32c.ts';
import { RealClock } from './realClock.ts';
import { RealRandom } from './realRandom.ts';

afterEach(() => {
  jest.useRealTimers();
});

describe('RealClock', () => {
  test('fires timers once, unless cancelled, and waits longer than setTimeout can', () => {
    jest.useFakeTimers();
    const clock = new RealClock();
    const fired: string[] = [];
    clock.setTimer(10, () => fired.push('short'));
    clock.setTimer(20, () => fired.push('cancelled')).cancel();
    const days = 30 * 24 * 3600 * 1000;
    clock.setTimer(days, () => fired.push('long'));
    const cancelledLate = clock.setTimer(days, () => fired.push('cancelled late'));
    jest.advanceTimersByTime(days - 1);
    expect(fired).toEqual(['short']);
    cancelledLate.cancel();
    jest.advanceTimersByTime(2);
    expect(fired).toEqual(['short', 'long']);
  });

  test('defer() runs after the present turn and its promises', async () => {
    const clock = new RealClock();
    const order: string[] = [];
    await new Promise<void>((resolve) => {
      clock.defer(() => {
        order.push('deferred');
        resolve();
      });
      void Promise.resolve().then(() => order.push('promise'));
      order.push('turn');
    });
    expect(order).toEqual(['turn', 'promise', 'deferred']);
    expect(clock.monotonicMs()).toBeLessThanOrEqual(clock.monotonicMs());
    expect(Math.abs(clock.wallMs() - Date.now())).toBeLessThan(1000);
  });
});

test('RealRandom draws different numbers over the whole range', () => {
  const random = new RealRandom();
  const drawn = Array.from({ length: 2000 }, () => random.uint32());
  expect(new Set(drawn).size).toBeGreaterThan(1990);
  expect(Math.max(...drawn)).toBeGreaterThan(0.9 * 2 ** 32);
  expect(drawn.every((value) => Number.isInteger(value) && value >= 0)).toBe(true);
});

describe('installNativeCrc32c()', () => {
  const bytes = new Uint8Array(1000).map((_, i) => i);

  test('installs the native checksum', async () => {
    expect(await installNativeCrc32c(SILENT)).toBe(true);
    expect(crc32c(bytes, 7)).toBe(portableCrc32c(bytes, 7));
  });

  test('keeps the portable one with a warning when the native one is missing or wrong', async () => {
    const lines: string[] = [];
    const logger = { log: (level: LogLevel, message: string) => lines.push(`${level} ${message}`) };
    const missing = () => Promise.reject(new Error('no binary for this platform'));
    const wrong = () => Promise.resolve(() => 1);
    for (const load of [missing, wrong])
      expect(await installNativeCrc32c(logger, load)).toBe(false);
    expect(lines).toEqual(
      Array(2).fill('warn The native CRC-32C cannot be used; the portable one is slower'),
    );
    expect(crc32c(bytes)).toBe(portableCrc32c(bytes, 0));
  });
});

describe('ConsoleLogger', () => {
  test('appends one JSON object a line, from its level up', () => {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'walrus-log-'));
    const file = path.join(directory, 'node.log');
    fs.writeFileSync(file, 'earlier\n');
    const logger = new ConsoleLogger({ level: 'info', file, fields: { nodeId: 3 } });
    logger.log('debug', 'Dropped');
    logger.log('warn', 'A peer\nis away', { peer: 'a:1', tries: 2, absent: undefined });
    const lines = fs.readFileSync(file, 'utf8').split('\n');
    fs.rmSync(directory, { recursive: true });
    const { time, ...rest } = JSON.parse(lines[1] ?? '') as Record<string, unknown>;
    expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(rest).toEqual({
      level: 'warn',
      message: 'A peer\nis away',
      nodeId: 3,
      peer: 'a:1',
      tries: 2,
    });
    expect([lines[0], lines[2], lines.length]).toEqual(['earlier', '', 3]);
  });

  test('refuses a log file that it cannot open', () => {
    expect(() => new ConsoleLogger({ level: 'info', file: '/absent/node.log' })).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIG' }),
    );
  });

  test('counts lines that it could not write and says so later', () => {
    const written: string[] = [];
    let isBroken = true;
    const write = lineWriter(2, (_fd, text) => {
      if (isBroken) throw new Error('EAGAIN');
      written.push(text);
      return text.length;
    });
    write('a\n');
    write('b\n');
    isBroken = false;
    write('c\n');
    write('d\n');
    expect(written).toEqual(['{"level":"warn","linesLost":2}\nc\n', 'd\n']);
  });
});
