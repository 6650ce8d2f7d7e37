import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { BufferPool } from '../base/bufferPool.ts';
import { bytesEqual, concatBytes } from '../base/bytes.ts';
import { isWalrusError } from '../base/errors.ts';
import { FrameDecoder } from './frame.ts';
import { fuzz } from './testing/fuzz.ts';

function frame(content: Uint8Array): Uint8Array {
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, content.length, true);
  return concatBytes([length, content]);
}

const noBytes = new Uint8Array(0);

/** Cuts bytes at the given positions. */
function cut(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = [0, ...cuts.map((c) => c % (bytes.length + 1)), bytes.length].sort(
    (a, b) => a - b,
  );
  return places.slice(1).map((end, i) => bytes.slice(places[i], end));
}

function decode(chunks: readonly Uint8Array[], maxFrameBytes: number) {
  const frames: Uint8Array[] = [];
  const owned: Uint8Array[] = [];
  const decoder = new FrameDecoder({
    maxFrameBytes,
    what: 'command',
    onFrame(content, isOwned) {
      frames.push(content.slice());
      if (isOwned) owned.push(content);
    },
  });
  let error = null;
  for (const chunk of chunks) {
    const reused = chunk.slice();
    error = decoder.push(reused);
    reused.fill(0xee); // the stream reuses its buffer
  }
  return { frames, owned, error, decoder };
}

describe('FrameDecoder', () => {
  test('gives the same frames however the stream is cut', () => {
    const contents = fc.array(
      fc.oneof(fc.uint8Array(), fc.uint8Array({ minLength: 300, maxLength: 2000 })),
    );
    fc.assert(
      fc.property(contents, fc.array(fc.nat(8000)), (frames, cuts) => {
        const bytes = concatBytes(frames.map(frame));
        const result = decode(cut(bytes, cuts), 2000);
        const isSame = frames.every((content, i) =>
          bytesEqual(content, result.frames[i] ?? noBytes),
        );
        expect([isSame, result.frames.length]).toEqual([true, frames.length]);
        expect([result.error, result.decoder.pendingBytes]).toEqual([null, 0]);
      }),
    );
  });

  test('keeps half frames byte by byte', () => {
    const bytes = frame(new Uint8Array([1, 2, 3]));
    const result = decode(
      [...bytes].slice(0, 6).map((b) => new Uint8Array([b])),
      10,
    );
    expect([result.frames, result.decoder.pendingBytes]).toEqual([[], 6]);
    result.decoder.push(bytes.subarray(6));
    expect(result.frames).toEqual([new Uint8Array([1, 2, 3])]);
  });

  test('hands large collected frames over for good', () => {
    const a = new Uint8Array(200_000).fill(1);
    const b = new Uint8Array(150_000).fill(2);
    const small = new Uint8Array(50_000).fill(3);
    const bytes = concatBytes([frame(a), frame(small), frame(b), frame(small)]);
    const result = decode(cut(bytes, [70_000, 140_000, 220_000, 300_000, 410_000]), 1_000_000);
    const same = (got: Uint8Array[], wanted: Uint8Array[]) =>
      got.length === wanted.length &&
      got.every((bytes, i) => bytesEqual(bytes, wanted[i] ?? bytes));
    expect(same(result.frames, [a, small, b, small])).toBe(true);
    expect(same(result.owned, [a, b])).toBe(true);
  });

  test('refuses an oversize frame, naming size and limit, and reads nothing after it', () => {
    const bytes = concatBytes([
      frame(new Uint8Array(10)),
      frame(new Uint8Array(11)),
      frame(new Uint8Array(1)),
    ]);
    const result = decode([bytes, bytes], 10);
    expect(result.frames).toEqual([new Uint8Array(10)]);
    expect(isWalrusError(result.error, 'TOO_LARGE')).toBe(true);
    expect(result.error).toMatchObject({
      message: 'Cannot read a command of 11 bytes: the limit is 10',
      details: { sizeBytes: 11, limitBytes: 10 },
    });
  });

  test('reads a length with the top bit as large, not as negative', () => {
    expect(decode([new Uint8Array([255, 255, 255, 255])], 10).error?.details).toEqual({
      sizeBytes: 2 ** 32 - 1,
      limitBytes: 10,
    });
  });

  test('does not reserve what is only announced', () => {
    const announced = new Uint8Array([0, 0, 0, 0x40, 1, 2, 3]); // 1 GiB
    const before = process.memoryUsage().arrayBuffers;
    const decoders = [];
    for (let i = 0; i < 20; i += 1) decoders.push(decode([announced], 2 ** 31));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4_000_000);
    expect(decoders).toHaveLength(20);
  });

  test('stop() drops the rest of the chunk', () => {
    const seen: number[] = [];
    const decoder: FrameDecoder = new FrameDecoder({
      maxFrameBytes: 10,
      what: 'command',
      onFrame(content) {
        seen.push(content[0] ?? -1);
        if (seen.length === 2) decoder.stop();
      },
    });
    const bytes = concatBytes([1, 2, 3].map((b) => frame(new Uint8Array([b]))));
    decoder.push(bytes);
    decoder.push(bytes);
    expect(seen).toEqual([1, 2]);
  });

  test('collects large frames in buffers of a pool, which are spoilt afterwards', () => {
    const pool = new BufferPool({ maxFreeBytes: 8 * 1024 * 1024, spoils: true });
    const seen: Uint8Array[] = [];
    const copies: Uint8Array[] = [];
    const ownership = new Set<boolean>();
    const decoder = new FrameDecoder({
      maxFrameBytes: 1_000_000,
      what: 'message',
      pool,
      onFrame(content, isOwned) {
        seen.push(content);
        copies.push(content.slice());
        ownership.add(isOwned);
      },
    });
    const contents = [300_000, 5, 70_000, 900_000, 65_000].map((size, i) =>
      new Uint8Array(size).fill(i + 1),
    );
    const bytes = concatBytes([...contents, ...contents].map(frame));
    for (let at = 0; at < bytes.length; at += 10_000) decoder.push(bytes.slice(at, at + 10_000));
    const isSame = copies.map((copy, i) => bytesEqual(copy, contents[i % 5] ?? noBytes));
    expect([copies.length, isSame.every(Boolean), [...ownership]]).toEqual([10, true, [false]]);
    expect([seen[0]?.[0], seen[3]?.[0]]).toEqual([0xdb, 0xdb]);
    // One buffer of each size that was needed is enough.
    expect(pool.freeBytes).toBeLessThan(3 * 1024 * 1024);
  });

  test('takes a new limit after a handshake', () => {
    const seen: number[] = [];
    const decoder = new FrameDecoder({
      maxFrameBytes: 4,
      what: 'message',
      onFrame(content) {
        seen.push(content.length);
        decoder.setMaxFrameBytes(100);
      },
    });
    expect(decoder.push(concatBytes([frame(new Uint8Array(4)), frame(new Uint8Array(50))]))).toBe(
      null,
    );
    expect(seen).toEqual([4, 50]);
  });

  test('survives damaged streams and cuts, and delivers nothing over its limit', () => {
    const stream = concatBytes(
      [3, 200, 0, 64].map((size) => frame(new Uint8Array(size).fill(size))),
    );
    fuzz(1, [stream], (bytes) => {
      const at = bytes.length >> 1;
      const result = decode([bytes.subarray(0, at), bytes.subarray(at)], 256);
      if (result.frames.some((content) => content.length > 256)) throw new Error('over the limit');
      if (result.error !== null) throw result.error;
    });
  });
});
