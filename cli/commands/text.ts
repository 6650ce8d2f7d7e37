/** The commands of the text protocol: `register`, `put`, `get`, `state`, `metrics`. */
import process from 'node:process';
import { connectText, isWalrusError, textFailure } from '../../client/index.ts';
import type { TextReply } from '../../client/index.ts';
import type { Command, CommandContext } from '../command.ts';
import { argumentOf } from '../command.ts';
import { EXIT } from '../output.ts';

type TextRequest = Parameters<ReturnType<typeof connectText>['send']>[0];

const TOPIC = { name: 'TOPIC', description: 'the topic' };

/** Asks the first node that can be reached. */
async function ask(context: CommandContext, request: TextRequest): Promise<TextReply> {
  for (const [index, address] of context.addresses.entries()) {
    const connection = connectText(address);
    try {
      return await connection.send(request);
    } catch (error) {
      const isLast = index === context.addresses.length - 1;
      if (isLast || !isWalrusError(error, 'CONNECTION_FAILED')) throw error;
    } finally {
      connection.close();
    }
  }
  throw new Error('There is always an address');
}

function show(context: CommandContext, reply: TextReply): number {
  const { output } = context;
  switch (reply.type) {
    case 'OK':
      output.result({ reply: 'OK' }, 'OK');
      return EXIT.ok;
    case 'EMPTY':
      output.result({ reply: 'EMPTY' }, 'EMPTY');
      return EXIT.ok;
    case 'VALUE':
      if (output.isJson) output.result({ reply: 'OK', value: text(reply.payload) }, []);
      else
        process.stdout.write(Buffer.concat([Buffer.from('OK '), reply.payload, Buffer.from('\n')]));
      return EXIT.ok;
    case 'JSON':
      output.result(JSON.parse(reply.text), reply.text);
      return EXIT.ok;
    case 'ERR':
      throw textFailure(reply);
  }
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString();
}

function topicCommand(type: 'REGISTER' | 'GET' | 'STATE', summary: string): Command {
  return {
    name: type.toLowerCase(),
    summary,
    args: [TOPIC],
    flags: {},
    async run(context) {
      return show(context, await ask(context, { type, topic: argumentOf(context, 0) }));
    },
  };
}

export const TEXT_COMMANDS: readonly Command[] = [
  topicCommand('REGISTER', 'Makes sure that a topic exists.'),
  {
    name: 'put',
    summary: 'Appends one record.',
    args: [TOPIC, { name: 'PAYLOAD', description: 'words, joined by single spaces', isList: true }],
    flags: {},
    async run(context: CommandContext): Promise<number> {
      const payload = Buffer.from(context.args.slice(1).join(' '));
      return show(
        context,
        await ask(context, { type: 'PUT', topic: argumentOf(context, 0), payload }),
      );
    },
  },
  topicCommand('GET', "Reads the next record of the topic's shared cursor."),
  topicCommand('STATE', 'Shows the segments of a topic.'),
  {
    name: 'metrics',
    summary: "Shows a node's view of the metadata group.",
    args: [],
    flags: {},
    async run(context: CommandContext): Promise<number> {
      return show(context, await ask(context, { type: 'METRICS' }));
    },
  },
];
