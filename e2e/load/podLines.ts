/** What the clients in a pod say, a line each. Times are of the wall clock, which the machine's processes share. */
import type { ClientsOutcome, ClientsPlan } from './clients.ts';
import type { Sample } from './latency.ts';
import { sampleOf } from './latency.ts';
import { Ledger } from './ledger.ts';
import type { Acknowledgement } from './writers.ts';

export const READY_LINE = '@ready\n';
const ACK = '@ack';
const END = '@end';

export function acknowledgedLine(writer: number, ack: Acknowledgement): string {
  const { sentMs, tookMs } = sampleOf(writer, ack);
  const times = `${sentMs.toFixed(3)} ${tookMs.toFixed(3)}`;
  return `${ACK} ${writer} ${ack.sequence} ${ack.offset ?? '-'} ${ack.sizeBytes} ${times}\n`;
}

export function endLine(outcome: ClientsOutcome): string {
  return `${END} ${JSON.stringify(outcome)}\n`;
}

export interface PodOutput {
  readonly ledgers: readonly Ledger[];
  readonly samples: readonly Sample[];
  /** null: it did not come to its end. */
  readonly outcome: ClientsOutcome | null;
}

/** The ledgers as the writers in the pod had them. */
export function parsePodOutput(plan: ClientsPlan, output: string): PodOutput {
  const lines = output.split('\n').map((line) => line.split(' '));
  const end = lines.find(([word]) => word === END);
  const outcome = end === undefined ? null : (JSON.parse(end.slice(1).join(' ')) as ClientsOutcome);
  const ledgers = plan.writers.map(({ writer, topic, kind }) => {
    const delivery = kind === 'binary' ? 'exactlyOnce' : 'uncertain';
    const ledger = new Ledger(writer, { kind, topic, delivery });
    const sent = outcome?.sent.find((each) => each.writer === writer)?.count ?? 0;
    while (ledger.sentCount < sent) ledger.next();
    return ledger;
  });
  const samples: Sample[] = [];
  for (const [word, ...fields] of lines) {
    if (word !== ACK) continue;
    const [
      writer = NaN,
      sequence = NaN,
      offset = NaN,
      sizeBytes = NaN,
      sentMs = NaN,
      tookMs = NaN,
    ] = fields.map(Number);
    samples.push({ writer, sentMs, tookMs });
    const ack = { sentMs, nowMs: sentMs + tookMs, sizeBytes };
    ledgers
      .find((ledger) => ledger.writer === writer)
      ?.acknowledge(sequence, Number.isNaN(offset) ? ack : { ...ack, offset });
  }
  return { ledgers, samples, outcome };
}
