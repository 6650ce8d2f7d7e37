import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { concatBytes, encodeUtf8, toHex } from '../base/bytes.ts';
import { nodeId, offset } from '../base/units.ts';
import { APIS } from './client/apis.ts';
import type { AnyApi } from './client/codec.ts';
import {
  REQUEST_HEADER_BYTES,
  RESPONSE_HEADER_BYTES,
  encodeRequest,
  encodeResponse,
} from './client/frames.ts';
import { CLIENT_MAGIC } from './dialect.ts';
import { FrameDecoder } from './frame.ts';
import {
  HELLO_FRAME_LIMIT_BYTES,
  MESSAGE_KIND,
  PEER_FRAME_HEADER_BYTES,
  encodeHello,
  encodePeerFrame,
} from './peer/envelope.ts';
import { BATCH_FIELD, BATCH_HEADER_BYTES } from './recordBatch.ts';
import { RecordBatchBuilder } from './recordBatchBuilder.ts';
import { TEXT_COMMANDS, encodeTextCommand, encodeTextReply, parseTextCommand } from './text.ts';
import type { TextReply } from './text.ts';
import { NAME_MAX_LENGTH } from './topicName.ts';

const doc = readFileSync('docs/protocol.md', 'utf8');

/** The text of a section, by its heading. */
function section(heading: string): string {
  const from = doc.indexOf(`\n${heading}\n`);
  expect([heading, from >= 0]).toEqual([heading, true]);
  const level = heading.indexOf(' ');
  const next = new RegExp(`\\n#{1,${level}} `).exec(doc.slice(from + heading.length));
  return doc.slice(from, next === null ? undefined : from + heading.length + next.index);
}

/** The cells of the rows whose first cell matches. */
function rows(text: string, first: RegExp): string[][] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) =>
      line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim()),
    )
    .filter((cells) => first.test(cells[0] ?? ''));
}

/** The bytes of a code block: the hex pairs at the start of its lines, before the explanation. */
function hexBlock(text: string, occurrence = 0): string {
  const block = text.split('```')[2 * occurrence + 1] ?? '';
  return block
    .split('\n')
    .map((line) => /^(?:[0-9a-f]{2}\s+)*/.exec(`${line} `)?.[0].replace(/\s/g, '') ?? '')
    .join('');
}

/** The content of the code block in a language. */
function codeBlock(language: string): string {
  return new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``).exec(doc)?.[1] ?? '';
}

describe('docs/protocol.md', () => {
  test('has every field of a record batch at its place', () => {
    const documented = rows(section('## Record batches'), /^\d+$/).map(([at, , field]) => [
      field,
      Number(at),
    ]);
    const code = Object.entries(BATCH_FIELD).map(([name, at]) => [
      name.toLowerCase().replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase()),
      at,
    ]);
    expect(documented).toEqual([...code, ['records', BATCH_HEADER_BYTES]]);
  });

  test('has the sizes of all fields of a record batch', () => {
    const cells = rows(section('## Record batches'), /^\d+$/);
    for (const [index, [at, size]] of cells.slice(0, -1).entries()) {
      expect(Number(at) + Number(size)).toBe(Number(cells[index + 1]?.[0]));
    }
  });

  test('has every request with its key and versions', () => {
    const documented = rows(section('### Requests'), /^\d+$/).map((cells) => cells.slice(0, 3));
    const code = Object.values(APIS).map((api: AnyApi) => [
      String(api.apiKey),
      `\`${api.name}\``,
      `${api.minVersion}-${api.maxVersion}`,
    ]);
    expect(documented).toEqual(code);
  });

  test('has the sizes of the headers', () => {
    const tables = section('## Binary client protocol').split('Response:');
    const bodyAt = (text: string, name: RegExp) =>
      rows(text, /^\d+$/)
        .filter((cells) => name.test(cells[2] ?? ''))
        .map(([at]) => Number(at));
    expect(bodyAt(tables[0] ?? '', /^body/)).toEqual([REQUEST_HEADER_BYTES]);
    expect(bodyAt(tables[1] ?? '', /^body/)).toEqual([RESPONSE_HEADER_BYTES]);
    expect(bodyAt(section('## Peer protocol'), /^payload/)).toEqual([PEER_FRAME_HEADER_BYTES]);
  });

  test('has the kinds of peer messages and the limits', () => {
    const table = section('## Peer protocol').split('| kind |')[1] ?? '';
    const kinds = rows(table, /^[1-9]$/).map(([kind, name]) => [
      (name ?? '').toUpperCase().replace(' ', '_'),
      Number(kind),
    ]);
    expect(Object.fromEntries(kinds)).toEqual(MESSAGE_KIND);
    const limits = section('## Limits');
    expect(limits).toContain(`${HELLO_FRAME_LIMIT_BYTES} bytes`);
    expect(limits).toContain(`${NAME_MAX_LENGTH} characters`);
    expect(doc).toContain(toHex(CLIENT_MAGIC).replace(/(..)(?=.)/g, '$1 '));
  });

  test('has every text command', () => {
    const words = rows(section('## Text protocol'), /^`[A-Z]+/).map(
      ([command]) => /[A-Z]+/.exec(command ?? '')?.[0],
    );
    expect(words).toEqual([...TEXT_COMMANDS]);
  });

  test('has examples that are the real bytes', () => {
    const text = [
      encodeTextCommand({ type: 'PUT', topic: 'logs', payload: encodeUtf8('hi') }),
      encodeTextReply({ type: 'OK' }),
      encodeTextCommand({ type: 'GET', topic: 'logs' }),
      encodeTextReply({ type: 'VALUE', payload: encodeUtf8('hi') }),
    ];
    expect(hexBlock(section('## Text protocol'))).toBe(toHex(concatBytes(text)));

    const binary = [
      ...encodeRequest(APIS.ListOffsets, 1, {
        topic: 'logs',
        partition: 0,
        at: { type: 'latest' },
      }),
      ...encodeResponse(APIS.ListOffsets, 1, { offset: offset(1000) }),
    ];
    expect(hexBlock(section('## Binary client protocol'))).toBe(toHex(concatBytes(binary)));

    const builder = new RecordBatchBuilder({ maxBytes: 1000 });
    builder.appendValue(encodeUtf8('hi'), 1700000000000);
    expect(hexBlock(section('## Record batches'))).toBe(toHex(builder.finish()));

    const hello = encodeHello({
      protocolVersion: 1,
      clusterId: '',
      nodeId: nodeId(2),
      address: '10.0.0.2:6001',
      softwareVersion: '0.1.0',
    });
    expect(hexBlock(section('## Peer protocol'))).toBe(
      toHex(concatBytes(encodePeerFrame([hello]))),
    );
  });
});

/** Answers as a node with one topic would. */
function replyTo(frame: Uint8Array, records: Uint8Array[]): TextReply {
  const command = parseTextCommand(frame);
  if (command.type === 'PUT') records.push(command.payload.slice());
  if (command.type !== 'GET') return { type: 'OK' };
  const payload = records.shift();
  return payload === undefined ? { type: 'EMPTY' } : { type: 'VALUE', payload };
}

/** Runs a program against a server that speaks the text protocol, and gives what it prints. */
async function runAgainstServer(program: string, script: string): Promise<string | null> {
  const records: Uint8Array[] = [];
  const server = createServer((socket) => {
    const decoder = new FrameDecoder({
      maxFrameBytes: 1024,
      what: 'command',
      onFrame: (frame) => socket.write(encodeTextReply(replyTo(frame, records))),
    });
    socket.on('data', (chunk) => decoder.push(chunk));
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const printed = await new Promise<string | null>((resolve) => {
    const child = spawn(program, [script, String(port)]);
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.on('error', () => resolve(null));
    child.on('close', () => resolve(output));
  });
  await new Promise((resolve) => server.close(resolve));
  return printed;
}

describe('the socket scripts of docs/protocol.md', () => {
  const directory = mkdtempSync(join(tmpdir(), 'walrus-doc-'));

  test('work in Node', async () => {
    const script = join(directory, 'script.cjs');
    writeFileSync(script, codeBlock('js'));
    expect(await runAgainstServer(process.execPath, script)).toBe('OK\nOK\nOK hello\n');
  });

  test('work in Python, where there is one', async () => {
    const script = join(directory, 'script.py');
    writeFileSync(script, codeBlock('python'));
    const printed = await runAgainstServer('python3', script);
    expect([null, "b'OK'\nb'OK'\nb'OK hello'\n"]).toContain(printed);
  });
});
