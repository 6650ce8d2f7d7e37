/** `walrus repl`: commands line by line, with history and completion. */
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import type { Command, CommandContext } from '../command.ts';
import { complete } from '../completion.ts';
import { runPrompt } from '../prompt.ts';
import { UsageError } from '../usageError.ts';

export const repl: Command = {
  name: 'repl',
  endsBySignal: true,
  summary: 'Takes commands line by line, with history and completion.',
  notes: [
    'Ctrl-C ends the command that runs, or clears the line; Ctrl-D and `exit` end the prompt. Through a pipe it ends with the exit code of the last command that failed.',
  ],
  args: [],
  flags: {},
  async run(context) {
    if (context.isAtPrompt) throw new UsageError('This is the prompt of walrus repl already');
    const historyPath = path.join(os.homedir(), '.walrus_history');
    const history = await fs.readFile(historyPath, 'utf8').catch(() => '');
    const isTerminal = process.stdin.isTTY;
    let topics = isTerminal ? await topicNames(context) : [];
    const end = await runPrompt({
      input: process.stdin,
      output: process.stdout,
      isTerminal,
      history: history.split('\n').filter((line) => line !== ''),
      signal: context.signal,
      complete: (line) => complete(line, context.commands, topics),
      run: async (argv, signal) => {
        const code = await context.runLine(argv, signal);
        if (isTerminal) void topicNames(context).then((names) => (topics = names));
        return code;
      },
    });
    if (end.history !== null) await fs.writeFile(historyPath, `${end.history.join('\n')}\n`);
    return isTerminal ? 0 : end.failure;
  },
};

/** For completion alone: without a cluster there is none. */
async function topicNames(context: CommandContext): Promise<string[]> {
  try {
    const client = await context.client();
    return (await client.admin.listTopics()).map(({ name }) => name);
  } catch {
    return [];
  }
}
