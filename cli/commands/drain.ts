/** `walrus drain`: before a node is stopped, what it leads goes to others. */
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DrainStatus } from '../../protocol/admin/types.ts';
import { askAdmin } from '../adminPort.ts';
import type { Command } from '../command.ts';
import { isGiven, textOf } from '../command.ts';
import { EXIT } from '../output.ts';
import { addressesOf, durationMs } from '../values.ts';

const DEFAULT_HTTP_PORT = '9191';
const DEFAULT_WAIT = '30s';
const POLL_MS = 100;

export const drain: Command = {
  name: 'drain',
  summary: 'Moves what a node leads to other nodes, before it is stopped.',
  args: [],
  flags: {
    http: {
      kind: 'text',
      value: 'HOST:PORT',
      description: 'The http port of the node.',
      default: '127.0.0.1, and $WALRUS_HTTP_PORT or 9191',
    },
    wait: {
      kind: 'text',
      value: 'TIME',
      description: 'How long it may take; units ms, s, m.',
      default: DEFAULT_WAIT,
    },
    undo: { kind: 'switch', description: 'Takes it back: the node leads again what it is given.' },
  },
  notes: [
    'Ends with 0 when the node leads nothing any more, and also when there is no other node that could take over; with 4 when the time is over. The node goes on serving; a restart forgets the drain. Meant for a preStop hook, too.',
  ],
  async run(context) {
    const port = process.env['WALRUS_HTTP_PORT'] || DEFAULT_HTTP_PORT; // empty counts as absent
    const [http = ''] = addressesOf(undefined, textOf(context, 'http') ?? `127.0.0.1:${port}`);
    if (isGiven(context, 'undo')) {
      const status = (await askAdmin(http, 'DELETE', '/drain')) as DrainStatus;
      context.output.result(status, 'the node leads again what it is given');
      return undefined;
    }
    const waitMs = durationMs(textOf(context, 'wait') ?? DEFAULT_WAIT);
    const status = await drained(http, waitMs);
    context.output.result(status, textOfStatus(status));
    return status.isDrained || !status.hasHeir ? EXIT.ok : EXIT.unavailable;
  },
};

/** Asks until it is done, nobody is there to take over, or the time is over. */
async function drained(http: string, waitMs: number): Promise<DrainStatus> {
  const startMs = performance.now();
  for (;;) {
    const status = (await askAdmin(http, 'POST', '/drain')) as DrainStatus;
    const isOver = performance.now() - startMs >= waitMs;
    if (status.isDrained || !status.hasHeir || isOver) return status;
    await sleep(POLL_MS);
  }
}

function textOfStatus({ isDrained, hasHeir, ...status }: DrainStatus): string {
  const { ledSegments, leadsMetadata, soleCopies } = status;
  const stays = soleCopies > 0 ? `; ${soleCopies} segments have their only copy here` : '';
  if (isDrained) return `the node leads nothing${stays}`;
  const leads = `it leads ${ledSegments} segments${leadsMetadata ? ' and the metadata' : ''}`;
  return `${hasHeir ? 'the time is over' : 'no other node could take over'}: ${leads}${stays}`;
}
