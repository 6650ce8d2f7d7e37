import { describe, expect, test } from '@jest/globals';
import { BufferPool, SharedBytes } from './bufferPool.ts';
import { KIB, MIB } from './units.ts';

describe('BufferPool', () => {
  test('lends a buffer again, for anything that fits, and makes one while none is free', () => {
    const pool = new BufferPool({ maxFreeBytes: MIB });
    const first = pool.take(100 * KIB);
    const second = pool.take(100 * KIB);
    expect(first).not.toBe(second);
    pool.give(first);
    expect(pool.freeBytes).toBe(first.length);
    expect(pool.take(128 * KIB + 100)).toBe(first);
    expect([pool.freeBytes, pool.take(129 * KIB).length]).toEqual([0, first.length]);
  });

  test('keeps no more than its bound, and nothing outside its sizes', () => {
    const pool = new BufferPool({ maxFreeBytes: 300 * KIB });
    const buffers = [1, 2, 3].map(() => pool.take(128 * KIB));
    const others = [8 * MIB, 100].map((size) => pool.take(size));
    expect(others.map(({ length }) => length)).toEqual([8 * MIB, 100]);
    for (const buffer of [...buffers, ...others]) pool.give(buffer);
    expect(pool.freeBytes).toBe(2 * (buffers[0]?.length ?? 0));
  });

  test('a buffer that comes back twice is a bug', () => {
    const pool = new BufferPool({ maxFreeBytes: MIB });
    const buffer = pool.take(64 * KIB);
    pool.give(buffer);
    expect(() => pool.give(buffer)).toThrow('A buffer is given back once');
  });

  test('spoils what comes back, so that a view that was kept is found out', () => {
    const pool = new BufferPool({ maxFreeBytes: MIB, spoils: true });
    const buffer = pool.take(64 * KIB);
    const view = buffer.subarray(0, 3);
    view.fill(7);
    pool.give(buffer);
    expect([...view]).toEqual([0xdb, 0xdb, 0xdb]);
  });
});

describe('SharedBytes', () => {
  test('gives its buffer back with the last user', () => {
    const pool = new BufferPool({ maxFreeBytes: MIB, spoils: true });
    const source = new Uint8Array(100 * KIB).fill(1);
    const shared = new SharedBytes(pool, source);
    shared.retain();
    shared.release();
    expect([shared.bytes, pool.freeBytes]).toEqual([source, 0]);
    shared.release();
    expect([shared.bytes[0], pool.freeBytes > 0]).toEqual([0xdb, true]);
    expect(() => shared.release()).toThrow('Each user releases shared bytes once');
    expect(() => shared.retain()).toThrow('Bytes are shared while somebody has them');
  });
});
