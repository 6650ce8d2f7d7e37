import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { encodeUtf8 } from '../base/bytes.ts';
import { dialectOf } from './dialect.ts';
import type { TextCommand, TextReply } from './text.ts';
import { encodeTextCommand, encodeTextReply, parseTextCommand, parseTextReply } from './text.ts';
import { fuzz } from './testing/fuzz.ts';
import { nameProblem } from './topicName.ts';

const topicName = fc
  .stringMatching(/^[A-Za-z0-9._-]{1,249}$/)
  .filter((name) => nameProblem(name) === null);

function parse(text: string): TextCommand {
  return parseTextCommand(encodeUtf8(text));
}

describe('parseTextCommand()', () => {
  test('reads every command', () => {
    expect(parse('REGISTER logs')).toEqual({ type: 'REGISTER', topic: 'logs' });
    expect(parse('GET logs')).toEqual({ type: 'GET', topic: 'logs' });
    expect(parse('STATE logs')).toEqual({ type: 'STATE', topic: 'logs' });
    expect(parse('METRICS')).toEqual({ type: 'METRICS' });
    expect(parse('PUT logs hello world')).toEqual({
      type: 'PUT',
      topic: 'logs',
      payload: encodeUtf8('hello world'),
    });
  });

  test('ignores white space at the end, except in a payload', () => {
    expect(parse('GET logs \r\n')).toEqual({ type: 'GET', topic: 'logs' });
    expect(parse('METRICS\n')).toEqual({ type: 'METRICS' });
    expect(parse('PUT logs  a \n')).toEqual({
      type: 'PUT',
      topic: 'logs',
      payload: encodeUtf8(' a \n'),
    });
    expect(parse('PUT logs ')).toEqual({
      type: 'PUT',
      topic: 'logs',
      payload: new Uint8Array(0),
    });
  });

  test('keeps payload bytes that are not UTF-8', () => {
    const payload = new Uint8Array([0xff, 0, 0x20, 0xc3, 0x28, 0x20, 0x20]);
    const frame = encodeTextCommand({ type: 'PUT', topic: 't', payload }).subarray(4);
    expect(parseTextCommand(frame)).toEqual({ type: 'PUT', topic: 't', payload });
  });

  test.each([
    ['', 'invalid frame length: a command has at least one byte'],
    ['REGISTER', 'REGISTER requires a topic'],
    ['REGISTER ', 'REGISTER requires a topic'],
    ['GET', 'GET requires a topic'],
    ['STATE  ', 'STATE requires a topic'],
    ['PUT', 'PUT requires a topic'],
    ['PUT ', 'PUT requires a topic'],
    ['PUT  x', 'PUT requires a topic'],
    ['PUT logs', 'PUT requires a payload'],
    ['PUT logs\n', 'PUT requires a payload'],
    ['GET a b', 'GET takes one topic, without spaces'],
    ['METRICS x', 'METRICS takes no topic'],
    ['put logs x', 'unknown command "put": known are REGISTER, PUT, GET, STATE, METRICS'],
    ['\u0007\n', 'unknown command "??": known are REGISTER, PUT, GET, STATE, METRICS'],
    [' GET t', 'unknown command "": known are REGISTER, PUT, GET, STATE, METRICS'],
    [
      'REGISTER caf\u00e9',
      `invalid topic name "caf\u00e9": only A-Z, a-z, 0-9, '.', '_' and '-' are allowed`,
    ],
    ['GET ..', `invalid topic name "..": '.' and '..' are reserved`],
    ['PUT a/b x', `invalid topic name "a/b": only A-Z, a-z, 0-9, '.', '_' and '-' are allowed`],
    ['PUT \u00e9 x', expect.stringContaining(`only A-Z, a-z, 0-9`)],
    [
      `REGISTER ${'x'.repeat(250)}`,
      `invalid topic name "${'x'.repeat(40)}...": it is longer than 249 characters`,
    ],
    [`GET ${'x'.repeat(100_000)}`, expect.stringContaining('longer than 249 characters')],
  ])('answers %j with the reason', (text, message) => {
    expect(parse(text)).toEqual({ type: 'INVALID', message });
  });

  test('round-trips what a client encodes', () => {
    const command: fc.Arbitrary<Exclude<TextCommand, { type: 'INVALID' }>> = fc.oneof(
      fc.record({
        type: fc.constantFrom('REGISTER' as const, 'GET' as const, 'STATE' as const),
        topic: topicName,
      }),
      fc.record({ type: fc.constant('PUT' as const), topic: topicName, payload: fc.uint8Array() }),
      fc.record({ type: fc.constant('METRICS' as const) }),
    );
    fc.assert(
      fc.property(command, (value) => {
        expect(parseTextCommand(encodeTextCommand(value).subarray(4))).toEqual(value);
      }),
    );
  });
});

describe('text replies', () => {
  test('are the words on the wire', () => {
    const wire = (reply: TextReply) => Buffer.from(encodeTextReply(reply)).toString('latin1');
    expect(wire({ type: 'OK' })).toBe('\x02\0\0\0OK');
    expect(wire({ type: 'EMPTY' })).toBe('\x05\0\0\0EMPTY');
    expect(wire({ type: 'VALUE', payload: encodeUtf8('hi ') })).toBe('\x06\0\0\0OK hi ');
    expect(wire({ type: 'ERR', message: 'no' })).toBe('\x06\0\0\0ERR no');
    expect(wire({ type: 'JSON', text: '{}' })).toBe('\x02\0\0\0{}');
  });

  test('round-trip, whatever the payload', () => {
    const payload = fc.oneof(
      fc.uint8Array(),
      fc.constantFrom('', 'EMPTY', 'OK', 'ERR x', ' ').map(encodeUtf8),
    );
    const reply: fc.Arbitrary<TextReply> = fc.oneof(
      fc.constant({ type: 'OK' as const }),
      fc.constant({ type: 'EMPTY' as const }),
      payload.map((bytes) => ({ type: 'VALUE' as const, payload: bytes })),
      fc.string().map((message) => ({ type: 'ERR' as const, message })),
      fc.json().map((text) => ({ type: 'JSON' as const, text: `{"x":${text}}` })),
    );
    fc.assert(
      fc.property(reply, (value) => {
        expect(parseTextReply(encodeTextReply(value).subarray(4))).toEqual(value);
      }),
    );
  });
});

describe('a text protocol that survives damage', () => {
  test('takes it as a command, or INVALID with a message that fits a line', () => {
    const inputs = ['PUT logs hello  ', 'REGISTER a', 'GET abc', 'STATE x', 'METRICS'].map(
      encodeUtf8,
    );
    fuzz(1, inputs, (frame) => {
      const command = parseTextCommand(frame);
      if (command.type !== 'INVALID') return;
      if (!/^[^\r\n]{1,300}$/.test(command.message)) throw new Error(command.message);
    });
  });

  test('of a client is a reply', () => {
    const replies: TextReply[] = [
      { type: 'OK' },
      { type: 'EMPTY' },
      { type: 'VALUE', payload: encodeUtf8('x') },
      { type: 'ERR', message: 'no' },
      { type: 'JSON', text: '{}' },
    ];
    fuzz(
      2,
      replies.map((reply) => encodeTextReply(reply).subarray(4)),
      parseTextReply,
    );
  });
});

describe('dialectOf()', () => {
  const hex = (text: string) => dialectOf(new Uint8Array(Buffer.from(text, 'hex')));

  test('tells the protocols apart', () => {
    expect(dialectOf(encodeUtf8('WLR1'))).toBe('BINARY');
    expect(dialectOf(encodeUtf8('GET / HTTP/1.1'))).toBe('HTTP');
    expect(hex('160301020001')).toBe('TLS');
    expect(dialectOf(encodeTextCommand({ type: 'GET', topic: 't' }))).toBe('TEXT');
  });

  test('takes a command of 66326 bytes for text although its length looks like TLS', () => {
    const payload = new Uint8Array(66326 - 6);
    const bytes = encodeTextCommand({ type: 'PUT', topic: 't', payload });
    expect([...bytes.subarray(0, 4)]).toEqual([0x16, 3, 1, 0]);
    expect(dialectOf(bytes)).toBe('TEXT');
  });

  test('waits for what it needs', () => {
    expect([hex(''), hex('574c52'), hex('1603010200')]).toEqual([null, null, null]);
  });
});
