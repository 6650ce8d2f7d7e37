/**
 * The clients in a pod: runs in the image with the client library that is in it (podFiles.ts), told by one argument what
 * to do, and tells on stdout what was acknowledged. SIGUSR2 ends it: the writers first, then the readers at the end.
 */
import process from 'node:process';
import { systemWorld, useNativeCrc32c } from '../../client/io/system.ts';
import { LoadClients } from './clients.ts';
import type { ClientsPlan } from './clients.ts';
import { acknowledgedLine, endLine, READY_LINE } from './podLines.ts';

const plan = JSON.parse(process.argv[2] ?? '') as ClientsPlan;
await useNativeCrc32c();
const clients = new LoadClients(systemWorld(), plan, (writer, acknowledgement) => {
  process.stdout.write(acknowledgedLine(writer, acknowledgement));
});
const stopped = new Promise<void>((resolve) => process.once('SIGUSR2', () => resolve()));
await clients.createTopics();
clients.start();
await clients.served();
process.stdout.write(READY_LINE);
await stopped;
await clients.stopWriting();
process.stdout.write(endLine(await clients.stopReading()));
