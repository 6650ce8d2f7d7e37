import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import fs from 'node:fs';
import path from 'node:path';
import { commandFlags, printConfig, resolveConfig } from './config.ts';
import { configurationDocument } from './config/document.ts';
import { editDistance, nearest } from './config/nearest.ts';
import { SETTING_NAMES, flagsOf, settingOf, variablesOf } from './config/settings.ts';

function resolve(argv: string[], env: Record<string, string> = {}, content?: object | string) {
  const text = typeof content === 'string' ? content : JSON.stringify(content);
  const file = content === undefined ? {} : { file: { path: 'walrus.json', content: text } };
  return resolveConfig({ argv, env, ...file });
}

function problems(argv: string[], env: Record<string, string> = {}, content?: object | string) {
  return resolve(argv, env, content).errors.map((error) => error.message);
}

describe('resolveConfig()', () => {
  test('takes flags over environment over file over defaults and says which', () => {
    const config = resolve(
      ['--node-id', '2', '--client-port=7001'],
      { WALRUS_NODE_ID: '3', WALRUS_MAX_SEGMENT_ENTRIES: '500', WALRUS_ZONE: '' },
      { nodeId: 4, maxSegmentEntries: 600, maxFrameBytes: '2MiB', join: ['a:1', 'b:2'] },
    );
    expect(config.errors).toEqual([]);
    expect(config.settings).toMatchObject({
      nodeId: 2,
      clientPort: 7001,
      maxSegmentEntries: 500,
      maxFrameBytes: 2 * 1024 * 1024,
      join: ['a:1', 'b:2'],
      zone: '',
      maxSegmentBytes: 1024 ** 3,
    });
    expect(config.sources).toMatchObject({
      nodeId: 'flag --node-id',
      clientPort: 'flag --client-port',
      maxSegmentEntries: 'variable WALRUS_MAX_SEGMENT_ENTRIES',
      maxFrameBytes: 'file walrus.json',
      zone: 'default',
    });
  });

  test("keeps the ancestor's flags", () => {
    const argv =
      '--node-id 3 --data-dir /d --join a:6001 --join b:6001,c:6001 --initial-peer e:6001 ' +
      '--raft-port 6003 --raft-host 0.0.0.0 --raft-advertise-host node-3 --client-port 8080 ' +
      '--client-host 127.0.0.1 --log-file /l';
    const config = resolve(argv.split(' '));
    expect(config.errors).toEqual([]);
    expect(config.settings).toMatchObject({
      nodeId: 3,
      dataDir: '/d',
      join: ['a:6001', 'b:6001', 'c:6001'],
      initialPeers: ['e:6001'],
      peerPort: 6003,
      peerHost: '0.0.0.0',
      peerAdvertiseHost: 'node-3',
      clientPort: 8080,
      clientHost: '127.0.0.1',
      logFile: '/l',
    });
    expect(resolve([], { WALRUS_RAFT_PORT: '6009' }).settings.peerPort).toBe(6009);
  });

  test('takes a yes-or-no flag without a value, and only yes or no', () => {
    expect(resolve(['--replace-disk', '--node-id', '2']).settings).toMatchObject({
      replaceDisk: true,
      nodeId: 2,
    });
    expect(resolve(['--replace-disk=false']).settings.replaceDisk).toBe(false);
    expect(resolve([], { WALRUS_REPLACE_DISK: 'true' }).settings.replaceDisk).toBe(true);
    expect(problems(['--replace-disk=1'], {}, { replaceDisk: true })).toEqual([
      'Invalid replaceDisk "1" (flag --replace-disk): it must be true or false',
    ]);
  });

  test('names the nearest known setting for an unknown one', () => {
    expect(problems(['--client-prot', '1'])).toEqual([
      'Unknown flag --client-prot: did you mean --client-port?',
    ]);
    expect(problems([], { WALRUS_MAX_SEGMENT_ENTRYS: '1' })).toEqual([
      'Unknown variable WALRUS_MAX_SEGMENT_ENTRYS: did you mean WALRUS_MAX_SEGMENT_ENTRIES?',
    ]);
    expect(problems([], {}, { datadir: '/d', qqqqqqqqq: 1 })).toEqual([
      'walrus.json: Unknown setting datadir: did you mean dataDir?',
      'walrus.json: Unknown setting qqqqqqqqq: see docs/configuration.md',
    ]);
  });

  test('says the range of a value that is wrong, where it came from, and all problems at once', () => {
    expect(
      problems(
        ['--node-id', '0', '--log-level', 'loud', '--raft-tick-interval', '2s', '--join', 'a'],
        { WALRUS_MAX_FRAME_BYTES: '1TiB' },
        { metadataVoters: 4, clusterId: 'x', maxSegmentAge: '1.5h' },
      ),
    ).toEqual([
      'Invalid nodeId "0" (flag --node-id): it must be an integer in 1..65535',
      'Invalid clusterId "x" (file walrus.json): it must be 32 hex digits, or empty',
      'Invalid join "a" (flag --join): "a" must be host:port',
      'Invalid logLevel "loud" (flag --log-level): it must be one of debug, info, warn, error',
      'Invalid metadataVoters "4" (file walrus.json): it must be one of 1, 3, 5, 7',
      'Invalid raftTickInterval "2s" (flag --raft-tick-interval): it must be a time in 5ms..1s (units ms, s, m, h, d)',
      'Invalid maxFrameBytes "1TiB" (variable WALRUS_MAX_FRAME_BYTES): it must be a size in 1KiB..64MiB (units KiB, MiB, GiB)',
    ]);
    expect(resolve([], {}, { maxSegmentAge: '1.5h' }).settings.maxSegmentAge).toBe(5_400_000);
  });

  test('refuses stray arguments, flags without value or given twice, and files that are no object', () => {
    expect(problems(['start', '--node-id', '1', '--data-dir', '--zone'])).toEqual([
      'Unexpected argument "start": settings are given as --flag value',
      'The flag --data-dir needs a value',
      'The flag --zone needs a value',
    ]);
    expect(problems(['--raft-port', '1', '--peer-port', '2'])).toEqual([
      'The flag --peer-port is given twice (the other one: flag --raft-port)',
    ]);
    expect(problems([], {}, '{')[0]).toContain('Cannot read the configuration file walrus.json');
    expect(problems([], {}, '[]')).toEqual([
      'Cannot read the configuration file walrus.json: it must be a JSON object',
    ]);
    expect(problems([], {}, { zone: { a: 1 }, nodeId: ['1', '2'] })).toEqual([
      'walrus.json: zone must be a string, a number, a boolean or a list of strings',
      'The file walrus.json takes one value, not a list',
    ]);
  });

  test('ignores the variables that Kubernetes makes for Services, and those of other commands', () => {
    const env = {
      WALRUS_CLIENT_PORT: 'tcp://10.0.0.7:9091',
      WALRUS_CLIENT_PORT_9091_TCP: 'tcp://10.0.0.7:9091',
      WALRUS_CLIENT_PORT_9091_TCP_ADDR: '10.0.0.7',
      WALRUS_CLIENT_SERVICE_HOST: '10.0.0.7',
      WALRUS_CLIENT_SERVICE_PORT_CLIENT: '9091',
      WALRUS_ADDR: 'a:1',
      WALRUS_CONFIG: '/etc/walrus.json',
      PATH: '/bin',
    };
    const config = resolve([], env);
    expect([config.errors, config.settings.clientPort]).toEqual([[], 9091]);
    expect(commandFlags({ argv: [], env })).toEqual({
      configPath: '/etc/walrus.json',
      shouldPrintConfig: false,
      shouldHelp: false,
    });
    expect(commandFlags({ argv: ['--config', 'x', '--print-config', '--help'], env })).toEqual({
      configPath: 'x',
      shouldPrintConfig: true,
      shouldHelp: true,
    });
  });

  test('refuses values that contradict each other', () => {
    expect(
      problems(
        '--peer-host 0.0.0.0 --raft-heartbeat-ticks 4 --max-frame-bytes 16MiB --max-node-in-flight-bytes 1MiB'.split(
          ' ',
        ),
      ),
    ).toEqual([
      'Invalid peerHost "0.0.0.0": others need a host to connect to, give --peer-advertise-host',
      'Invalid raftHeartbeatTicks "4": it must be at most a third of raftElectionTicks (5)',
      'Invalid maxConnectionInFlightBytes: it must be at least maxFrameBytes',
      'Invalid maxNodeInFlightBytes: it must be at least maxConnectionInFlightBytes',
    ]);
  });

  test('refuses a port that is given twice, where both would listen on it', () => {
    const twice = '--client-port 7001 --peer-port 7001';
    const problem = 'Invalid peerPort "7001": it is the clientPort as well';
    expect(problems(twice.split(' '))).toEqual([problem]);
    expect(problems(`${twice} --peer-host 127.0.0.2`.split(' '))).toEqual([]);
    expect(problems('--client-port 0 --peer-port 0'.split(' '))).toEqual([]);
  });

  test('survives any input with a complete result', () => {
    const words = fc.oneof(fc.string(), fc.constantFrom('--node-id', '--join', '--config', '='));
    fc.assert(
      fc.property(fc.array(words), fc.string(), fc.json(), (argv, value, json) => {
        const config = resolve(argv, { WALRUS_NODE_ID: value, [`WALRUS_${value}`]: value }, json);
        expect(Object.keys(config.settings)).toEqual(SETTING_NAMES);
        for (const error of config.errors) expect(error.code).toBe('INVALID_CONFIG');
      }),
    );
  });
});

describe('the table of settings', () => {
  test('has valid defaults that survive format() and parse(), without contradiction', () => {
    expect(resolve([]).errors).toEqual([]);
    for (const name of SETTING_NAMES) {
      const setting = settingOf(name);
      const parsed = setting.parse([setting.format(setting.default)]);
      expect([name, parsed]).toEqual([name, { ok: true, value: setting.default }]);
    }
  });

  test('gives every flag and variable to one setting only', () => {
    const flags = SETTING_NAMES.flatMap(flagsOf);
    const variables = SETTING_NAMES.flatMap(variablesOf);
    expect(new Set(flags).size).toBe(flags.length);
    expect(new Set(variables).size).toBe(variables.length);
    expect(variablesOf('maxSegmentEntries')).toEqual(['WALRUS_MAX_SEGMENT_ENTRIES']);
  });

  test('is what docs/configuration.md says', () => {
    const file = path.join(__dirname, '..', 'docs', 'configuration.md');
    const document = configurationDocument();
    if (process.env['UPDATE_GOLDEN'] === '1') fs.writeFileSync(file, document);
    expect(fs.readFileSync(file, 'utf8')).toBe(document);
  });
});

test('printConfig() shows every value with its source', () => {
  const lines = printConfig(resolve(['--max-frame-bytes', '2048'], { WALRUS_ZONE: 'b' })).split(
    '\n',
  );
  expect(lines).toHaveLength(SETTING_NAMES.length + 1);
  const shown = lines.map((line) => line.replace(/ +# /, ' # '));
  for (const line of [
    'maxFrameBytes = 2KiB # flag --max-frame-bytes',
    'zone = b # variable WALRUS_ZONE',
    'clusterId = "" # default',
    'maxSegmentAge = 1d # default',
  ]) {
    expect(shown).toContain(line);
  }
});

test('nearest() finds a near name and gives up on a far one', () => {
  expect(editDistance('ab', 'ba')).toBe(1);
  expect(editDistance('kitten', 'sitting')).toBe(3);
  expect(nearest('--jion', ['--join', '--zone'])).toBe('--join');
  expect(nearest('--xyz', ['--data-dir'])).toBeUndefined();
  expect(nearest('nope', ['zone'])).toBeUndefined();
});
