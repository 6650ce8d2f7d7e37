/** `walrus node`: runs one node in this process. */
import fs from 'node:fs/promises';
import { flushCompileCache } from 'node:module';
import process from 'node:process';
import { WalrusError, messageOf } from '../../base/errors.ts';
import { commandFlags, describeConfig, printConfig, resolveConfig } from '../../node/config.ts';
import { SETTING_NAMES, flagsOf, settingOf } from '../../node/config/settings.ts';
import { runNode } from '../../node/main.ts';
import type { RunningNode } from '../../node/main.ts';
import type { Command } from '../command.ts';
import { EXIT } from '../output.ts';

/** How long a process may live on when its node has ended. */
const EXIT_MS_MAX = 2000;

export const node: Command = {
  name: 'node',
  endsBySignal: true,
  summary: 'Runs one node in this process.',
  args: [],
  flags: {},
  isRaw: true,
  notes: [
    'Its settings come from flags, over variables (`WALRUS_...`), over a file (`--config FILE`), over defaults: see docs/configuration.md. `--print-config` shows each with its source and ends.',
  ],
  async run(context) {
    const argv = context.args.filter((word) => word !== '--json'); // the output's (dispatch.ts)
    const input = { argv, env: process.env };
    const command = commandFlags(input);
    if (command.shouldHelp) {
      context.output.result(SETTING_NAMES, settingsHelp());
      return undefined;
    }
    const config = resolveConfig({ ...input, ...(await fileOf(command.configPath)) });
    const [first] = config.errors;
    if (first !== undefined) {
      for (const error of config.errors) context.output.error(error);
      return EXIT.usage;
    }
    if (command.shouldPrintConfig) {
      context.output.result(describeConfig(config), printConfig(config).trimEnd());
      return undefined;
    }
    return await serve(await runNode(config.settings), context.signal);
  },
};

async function fileOf(
  path: string | undefined,
): Promise<{ file?: { path: string; content: string } }> {
  if (path === undefined) return {};
  try {
    return { file: { path, content: await fs.readFile(path, 'utf8') } };
  } catch (error) {
    const message = `Cannot read the configuration file ${path}: ${messageOf(error)}`;
    throw new WalrusError('INVALID_CONFIG', message, { cause: error });
  }
}

async function serve(running: RunningNode, signal: AbortSignal): Promise<number> {
  const stop = (): void => void running.stop();
  if (signal.aborted) stop(); // while it opened its ports
  signal.addEventListener('abort', stop);
  // A node of `walrus dev` does not outlive it.
  process.once('disconnect', stop);
  process.channel?.unref();
  // Not at the end: a node that is killed would never leave its compiled code to the next start.
  running.registered.then(flushCompileCache, () => undefined);
  const reason = await running.ended;
  exitSoon();
  if (reason === null) return EXIT.ok;
  throw reason;
}

/** A node that has ended leaves nothing behind that runs; should something do so, it is named and does not matter. */
function exitSoon(): void {
  const timer = setTimeout(() => {
    const held = [...new Set(process.getActiveResourcesInfo())].join(', ');
    process.stderr.write(`walrus: the node has ended, but its process was held by: ${held}\n`);
    process.exit();
  }, EXIT_MS_MAX);
  timer.unref();
}

function settingsHelp(): string[] {
  const lines = ['Usage: walrus node [--config FILE] [--print-config] [flags]', ''];
  for (const name of SETTING_NAMES) {
    const setting = settingOf(name);
    lines.push(
      `  --${flagsOf(name)[0] ?? name}  ${setting.range}; default ${setting.format(setting.default) || 'empty'}`,
    );
    lines.push(`      ${setting.description}`);
  }
  return lines;
}
