/** The prompt of `walrus repl`: one command a line; Ctrl-C ends the command that runs, or clears the line. */
import readline from 'node:readline';
import { splitWords } from './words.ts';

const HISTORY_COUNT_MAX = 1000;

export interface PromptOptions {
  readonly input: NodeJS.ReadableStream;
  readonly output: NodeJS.WritableStream;
  /** Whether a person types: with a prompt, history and completion. */
  readonly isTerminal: boolean;
  /** Newest first. */
  readonly history: readonly string[];
  readonly signal: AbortSignal;
  complete(line: string): [string[], string];
  /** Runs a command. @returns its exit code. */
  run(argv: readonly string[], signal: AbortSignal): Promise<number>;
}

export interface PromptEnd {
  /** The exit code of the last command that failed; 0 without one. */
  readonly failure: number;
  /** Newest first; null when nothing was added. */
  readonly history: readonly string[] | null;
}

/** Takes lines until `exit`, the end of the input or the signal. */
export async function runPrompt(options: PromptOptions): Promise<PromptEnd> {
  const { input, output, isTerminal, signal } = options;
  const prompt = readline.createInterface({
    input,
    output,
    terminal: isTerminal,
    prompt: isTerminal ? 'walrus> ' : '',
    historySize: HISTORY_COUNT_MAX,
    history: [...options.history],
    completer: (line: string) => options.complete(line),
  });
  let history: readonly string[] | null = null;
  let running: AbortController | null = null;
  const state = { isClosed: false };
  let failure = 0;
  prompt.on('history', (lines) => (history = [...lines]));
  prompt.on('close', () => (state.isClosed = true));
  prompt.on('SIGINT', () => {
    if (running === null) clearLine(prompt, output);
    else running.abort();
  });
  const stop = (): void => {
    running?.abort();
    prompt.close();
  };
  signal.addEventListener('abort', stop);
  prompt.prompt();
  for await (const line of prompt) {
    const words = splitWords(line);
    if (['exit', 'quit'].includes(words[0] ?? '')) break;
    if (words.length > 0) {
      running = new AbortController();
      const argv = words[0] === 'help' ? ['--help'] : words;
      failure = (await options.run(argv, running.signal)) || failure;
      running = null;
    }
    if (signal.aborted) break;
    // A pipe may be at its end while lines of it are still waiting.
    if (!state.isClosed) prompt.prompt();
  }
  signal.removeEventListener('abort', stop);
  prompt.close();
  return { failure, history };
}

/** As a shell does: what was typed is dropped, and a new line begins. */
function clearLine(prompt: readline.Interface, output: NodeJS.WritableStream): void {
  prompt.write(null, { ctrl: true, name: 'e' });
  prompt.write(null, { ctrl: true, name: 'u' });
  output.write('^C\n');
  prompt.prompt();
}
