import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { COMMANDS } from './commands.ts';
import { cliDocument } from './help.ts';
import { exitCodeOf } from './output.ts';
import { findCommand, parseArguments } from './parse.ts';
import { RecordCutter } from './recordCutter.ts';
import { addressesOf, delimiterBytes, startPosition } from './values.ts';
import { splitWords } from './words.ts';
import { WalrusError } from '../base/errors.ts';
import { SETTING_NAMES, flagsOf } from '../node/config/settings.ts';

function parse(...words: string[]) {
  const found = findCommand(COMMANDS, words);
  if (found === null) throw new Error('no such command');
  return parseArguments(found.command, found.rest);
}

function cut(input: string, chunkBytes: number, keepsDelimiter = false): string[] {
  const cutter = new RecordCutter({
    delimiter: Buffer.from('\r\n'),
    keepsDelimiter,
    maxRecordBytes: 100,
  });
  const records: string[] = [];
  const take = () =>
    records.push(cutter.bytes.toString('latin1', cutter.start, cutter.start + cutter.length));
  const bytes = Buffer.from(input, 'latin1');
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    cutter.push(bytes.subarray(at, at + chunkBytes));
    while (cutter.next()) take();
  }
  if (cutter.last()) take();
  return records;
}

describe('the command line', () => {
  test('docs/cli.md is made from the table', () => {
    const file = path.join(__dirname, '..', 'docs', 'cli.md');
    const plain = (text: string) => text.replaceAll(/[ -]+/g, ' ').trim();
    expect(plain(readFileSync(file, 'utf8'))).toBe(plain(cliDocument(COMMANDS)));
  });

  test('docs/errors.md names commands and flags that exist', () => {
    const text = readFileSync(path.join(__dirname, '..', 'docs', 'errors.md'), 'utf8');
    const commands = [...text.matchAll(/`walrus ([a-z -]*[a-z])/g)].map(([, words = '']) => words);
    expect(commands.length).toBeGreaterThan(5);
    expect(commands.filter((words) => findCommand(COMMANDS, words.split(' ')) === null)).toEqual(
      [],
    );
    const flags = new Set([
      ...SETTING_NAMES.flatMap((name) => flagsOf(name)),
      ...COMMANDS.flatMap((command) => Object.keys(command.flags)),
    ]);
    const named = [...text.matchAll(/`--([a-z-]+)`/g)].map(([, flag = '']) => flag);
    expect(named.length).toBeGreaterThan(2);
    expect(named.filter((flag) => !flags.has(flag))).toEqual([]);
  });

  test('parses flags with = and without, and arguments after --', () => {
    const { args, flags } = parse('consume', '--from=latest', '--max', '3', '--', '--odd');
    expect([args, [...flags]]).toEqual([
      ['--odd'],
      [
        ['from', ['latest']],
        ['max', ['3']],
      ],
    ]);
  });

  test.each([
    [['consume', 't', '--form', 'x'], 'did you mean --from?'],
    [['consume', 't', '--max', 'x'], '--max must be a whole number, not "x"'],
    [['consume', 't', '--format', 'xml'], '--format must be one of value, key-value, json, raw'],
    [['consume'], 'consume needs TOPIC'],
    [['consume', 'a', 'b'], 'Unexpected argument "b"'],
    [['consume', 'a', '--max'], 'The flag --max needs a value: N'],
    [['consume', 'a', '--follow=1'], 'The flag --follow takes no value'],
  ])('refuses %j', (words, message) => {
    expect(() => parse(...words)).toThrow(message);
  });

  test('splits words as a shell does', () => {
    expect(splitWords(`put  t "a \\"b" 'c d'e ''`)).toEqual(['put', 't', 'a "b', 'c de', '']);
  });

  test('knows positions, delimiters and addresses', () => {
    expect(startPosition('-10m', 1_000_000)).toEqual({ type: 'time', timestampMs: 400_000 });
    expect(startPosition('17', 0)).toEqual({ type: 'offset', offset: 17 });
    expect(() => startPosition('soon', 0)).toThrow('is no position');
    expect(delimiterBytes('a\\n\\x00')).toEqual(Buffer.from('a\n\0'));
    expect(() => delimiterBytes('\\q')).toThrow('Unknown escape');
    expect(addressesOf(undefined, 'a:1, b:2')).toEqual(['a:1', 'b:2']);
    expect(addressesOf(undefined, undefined)).toEqual(['127.0.0.1:9091']);
    expect(() => addressesOf(['nine'], undefined)).toThrow('is no address');
  });

  test('gives each kind of failure its exit code', () => {
    const codes = [
      'INVALID_CONFIG',
      'TOPIC_NOT_FOUND',
      'CONNECTION_FAILED',
      'TOPIC_EXISTS',
    ] as const;
    expect(codes.map((code) => exitCodeOf(new WalrusError(code, 'x')))).toEqual([2, 3, 4, 1]);
  });
});

describe('RecordCutter', () => {
  test('cuts alike whatever the chunks are', () => {
    for (let size = 1; size <= 12; size += 1) {
      expect(cut('a\r\n\r\nb\rc\r\nend', size)).toEqual(['a', '', 'b\rc', 'end']);
      expect(cut('a\r\n', size)).toEqual(['a']);
      expect(cut('a\r\nb', size, true)).toEqual(['a\r\n', 'b']);
    }
    expect(cut('', 1)).toEqual([]);
  });

  test('refuses a record that is too large, also before its end', () => {
    expect(() => cut('x'.repeat(101), 10)).toThrow('more than 100 bytes');
  });
});
