import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { describe, expect, test } from '@jest/globals';
import { COMMANDS } from './commands.ts';
import { cliDocument } from './help.ts';
import { DevCluster } from './dev/devCluster.ts';
import { checkPorts } from './dev/ports.ts';
import { complete } from './completion.ts';
import { replicationOf } from './commands/topic.ts';
import { Output, exitCodeOf, outputFailure } from './output.ts';
import { findCommand, parseArguments } from './parse.ts';
import { runPrompt } from './prompt.ts';
import { RecordCutter } from './recordCutter.ts';
import { untilAborted } from './untilAborted.ts';
import { addressesOf, delimiterBytes, progressText, startPosition } from './values.ts';
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
    [['produce', 't', '--delivery-timeout-ms', '0'], '--delivery-timeout-ms must be at least 1'],
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

  test('refuses addresses that are none, instead of taking the usual one', () => {
    expect(() => parse('topic', 'list', '--addr', ',')).toThrow('--addr needs a value');
    expect(() => addressesOf(undefined, ',')).toThrow('"," names no address');
    expect(addressesOf(undefined, '')).toEqual(['127.0.0.1:9091']);
  });

  test('finds the other half of a replication, or names the pairs that there are', () => {
    const of = (...flags: string[]) => replicationOf(parse('topic', 'create', 't', ...flags));
    expect(of()).toBeNull();
    expect(of('--replicas', '1')).toEqual({ replicas: 1, ackQuorum: 1 });
    expect(of('--replicas', '5')).toEqual({ replicas: 5, ackQuorum: 3 });
    expect(of('--ack-quorum', '2')).toEqual({ replicas: 3, ackQuorum: 2 });
    expect(() => of('--replicas', '2')).toThrow('must be 1/1, 3/2 or 5/3');
    expect(() => of('--replicas', '3', '--ack-quorum', '3')).toThrow(
      'no topics with 3 replicas and ack quorum 3: replicas and ack quorum must be 1/1',
    );
  });

  test('shows progress in whole bytes and grammatical numbers', () => {
    expect(progressText({ records: 1, bytes: 12 }, 1.0006)).toBe('1 record, 12 B, 12 B/s');
    expect(progressText({ records: 0, bytes: 2500 }, 2)).toBe('0 records, 2.5 kB, 1.3 kB/s');
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

describe('Output', () => {
  function said(isTerminal: boolean, say: (output: Output) => void): string {
    let text = '';
    const add = (more: string): void => void (text += more);
    say(new Output({ out: add, err: add, isTerminal }, false));
    return text;
  }

  test('cuts very long names where a person looks, and pads no other line for them', () => {
    const name = 'x'.repeat(249);
    const show = (output: Output) =>
      output.table(
        [],
        [
          ['TOPIC', 'N'],
          [name, '1'],
          ['t', '2'],
        ],
      );
    expect(said(false, show).split('\n')).toEqual([
      `${'TOPIC'.padEnd(48)}  N`,
      `${name}  1`,
      `${'t'.padEnd(48)}  2`,
      '',
    ]);
    expect(said(true, show).split('\n')[1]).toBe(`${'x'.repeat(45)}...  1`);
  });

  test('gives a hint that fits the command', () => {
    const error = new WalrusError('OFFSET_OUT_OF_RANGE', 'It ends at 23');
    const hintOf = (name: string) =>
      said(false, (output) =>
        output.error(error, findCommand(COMMANDS, name.split(' '))?.command.hints),
      );
    expect(hintOf('consume')).toContain('give --from earliest');
    expect(hintOf('topic delete-records')).toBe('walrus: It ends at 23 (OFFSET_OUT_OF_RANGE)\n');
  });

  test('says why standard output takes no more', () => {
    const error = Object.assign(new Error('write ENOSPC'), { code: 'ENOSPC' });
    const text = said(false, (output) => output.error(outputFailure(error)));
    expect(text).toBe('walrus: Cannot write to standard output: no space is left there\n');
  });
});

describe('walrus dev', () => {
  test('refuses flags before it looks at the data', () => {
    expect(() => checkPorts(0, undefined)).toThrow('--nodes must be 1 to 9, not 0');
    expect(() => checkPorts(3, 99_999)).toThrow('--base-port must be 1 to 65511, not 99999');
  });

  test('leaves no directory behind when its ports are taken', async () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'walrus-cli-'));
    const taken = new WalrusError('ADDRESS_IN_USE', 'taken');
    const cluster = new DevCluster({
      choosePorts: () => Promise.reject(taken),
      dataDir: path.join(folder, 'new'),
      isFresh: false,
      output: new Output({ out: () => undefined, err: () => undefined }, false),
      signal: new AbortController().signal,
    });
    await expect(cluster.run()).rejects.toBe(taken);
    expect(readdirSync(folder)).toEqual([]);
    rmSync(folder, { recursive: true });
  });
});

describe('complete()', () => {
  const topics = ['rtopic', 'other'];
  test.each([
    ['prod', ['produce ']],
    ['topic de', ['topic describe ', 'topic delete ', 'topic delete-records ']],
    ['get rt', ['rtopic ']],
    ['get ', ['rtopic ', 'other ']],
    ['get rtopic ', []],
    ['topic describe o', ['other ']],
    ['produce rtopic --de', ['--delimiter ', '--delivery-timeout-ms ']],
    ['produce --acks q', ['quorum ']],
    ['produce --acks quorum r', ['rtopic ']],
    ['consume --follow r', ['rtopic ']],
    ['exi', ['exit ']],
    ['nonsense ', []],
  ])('of "%s"', (line, hits) => {
    expect(complete(line, COMMANDS, topics)[0]).toEqual(hits);
  });
});

test('untilAborted() leaves a stream that says nothing as soon as the signal comes', async () => {
  const abort = new AbortController();
  const stream = new PassThrough();
  stream.write('a');
  const seen: string[] = [];
  for await (const chunk of untilAborted(stream, abort.signal)) {
    seen.push(String(chunk));
    setImmediate(() => abort.abort());
  }
  expect(seen).toEqual(['a']);
});

describe('runPrompt()', () => {
  function start(run: (argv: readonly string[], signal: AbortSignal) => Promise<number>) {
    const input = new PassThrough();
    const output = new PassThrough();
    output.resume();
    const end = runPrompt({
      input,
      output,
      isTerminal: true,
      history: [],
      signal: new AbortController().signal,
      complete: (line) => [[], line],
      run,
    });
    return { input, end };
  }

  test('Ctrl-C clears a half-typed line and goes on', async () => {
    const lines: string[] = [];
    const { input, end } = start((argv) => {
      lines.push(argv.join(' '));
      return Promise.resolve(0);
    });
    input.write('half typed\x03get t\r');
    input.write('exit\r');
    await end;
    expect(lines).toEqual(['get t']);
  });

  test('Ctrl-C ends the command that runs, and nothing else', async () => {
    const codes: number[] = [];
    const { input, end } = start(async (_argv, signal) => {
      const aborted = new Promise((resolve) => signal.addEventListener('abort', resolve));
      input.write('\x03');
      await aborted;
      codes.push(130);
      return 130;
    });
    input.write('consume t --follow\r');
    input.write('consume t --follow\r');
    input.write('exit\r');
    expect((await end).failure).toBe(130);
    expect(codes).toEqual([130, 130]);
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
