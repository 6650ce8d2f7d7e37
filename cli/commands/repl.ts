/** `walrus repl`: commands line by line, with history and completion. */
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import readline from 'node:readline';
import type { Command, CommandContext } from '../command.ts';
import { splitWords } from '../words.ts';

const HISTORY_COUNT_MAX = 1000;
const WORDS = [
  ...['register', 'put', 'get', 'state', 'metrics', 'produce', 'consume', 'cluster status'],
  ...['topic create', 'topic list', 'topic describe', 'topic delete'],
  ...['group list', 'group describe', 'group delete', 'help', 'exit'],
];

/** Runs one line of the prompt; set by the dispatcher, which knows all commands. */
export type RunLine = (argv: readonly string[], addresses: readonly string[]) => Promise<number>;
let runLine: RunLine | null = null;

/** Tells the prompt how to run a command. */
export function setRunLine(run: RunLine): void {
  runLine = run;
}

export const repl: Command = {
  name: 'repl',
  endsBySignal: true,
  summary: 'Takes commands line by line, with history and completion.',
  notes: ['Through a pipe it ends with the exit code of the last command that failed.'],
  args: [],
  flags: {},
  async run(context) {
    const historyPath = path.join(os.homedir(), '.walrus_history');
    const topics = await topicNames(context);
    const history = await fs.readFile(historyPath, 'utf8').catch(() => '');
    const prompt = readline.createInterface({
      input: process.stdin,
      output: process.stdout,
      prompt: process.stdin.isTTY ? 'walrus> ' : '',
      historySize: HISTORY_COUNT_MAX,
      history: history.split('\n').filter((line) => line !== ''),
      completer: (line: string) => complete(line, topics),
    });
    const newest: string[] = [];
    prompt.on('history', (lines) => {
      newest.splice(0, newest.length, ...lines);
    });
    context.signal.addEventListener('abort', () => prompt.close());
    const input = { isClosed: false };
    let failure = 0;
    prompt.on('close', () => {
      input.isClosed = true;
    });
    prompt.prompt();
    for await (const line of prompt) {
      const words = splitWords(line);
      if (['exit', 'quit'].includes(words[0] ?? '')) break;
      if (words.length > 0) {
        const argv = words[0] === 'help' ? ['--help'] : words;
        failure = (await runLine?.(argv, context.addresses)) || failure;
      }
      // A pipe may be at its end while lines of it are still waiting.
      if (!input.isClosed) prompt.prompt();
    }
    prompt.close();
    if (newest.length > 0) await fs.writeFile(historyPath, `${newest.join('\n')}\n`);
    return process.stdin.isTTY ? 0 : failure;
  },
};

/** For completion alone: without a cluster there is none. */
async function topicNames(context: CommandContext): Promise<string[]> {
  if (!process.stdin.isTTY) return [];
  const client = await context.client();
  const topics = await client.admin.listTopics().catch(() => []);
  return topics.map(({ name }) => name);
}

function complete(line: string, topics: readonly string[]): [string[], string] {
  const commands = WORDS.filter((word) => word.startsWith(line));
  if (commands.length > 0) return [commands, line];
  const last = line.slice(line.lastIndexOf(' ') + 1);
  return [topics.filter((name) => name.startsWith(last)), last];
}
