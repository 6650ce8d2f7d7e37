/** `walrus dev` (`npm start`): a cluster of real node processes on this machine. */
import type { Command } from '../command.ts';
import { integerOf, isGiven, textOf } from '../command.ts';
import { DevCluster } from '../dev/devCluster.ts';
import { checkPorts, choosePorts } from '../dev/ports.ts';

export const dev: Command = {
  name: 'dev',
  endsBySignal: true,
  summary: 'Runs a cluster of nodes on this machine and restarts those that die.',
  args: [],
  flags: {
    nodes: { kind: 'integer', value: 'N', description: 'How many nodes.', default: '3' },
    'base-port': {
      kind: 'integer',
      value: 'P',
      description: 'Client ports are P+1.., peer ports P+11.., http ports P+21...',
      default: '9091.., 6001.., 9191.., or the next free ones',
    },
    'data-dir': {
      kind: 'text',
      value: 'DIR',
      description: 'Where node-1, node-2, ... keep their data.',
      default: '.walrus',
    },
    fresh: { kind: 'switch', description: 'Deletes the data of the nodes first.' },
  },
  notes: [
    'When the cluster serves it prints one line: `walrus cluster ready: HOST:PORT,...`. Ctrl-C stops it; the next start finds its data again.',
  ],
  async run(context) {
    const count = integerOf(context, 'nodes') ?? 3;
    const basePort = integerOf(context, 'base-port');
    checkPorts(count, basePort);
    const cluster = new DevCluster({
      choosePorts: () => choosePorts(count, basePort, (text) => context.output.note(text)),
      dataDir: textOf(context, 'data-dir') ?? '.walrus',
      isFresh: isGiven(context, 'fresh'),
      output: context.output,
      signal: context.signal,
    });
    await cluster.run();
    return undefined;
  },
};
