/**
 * Admission against everything that may happen to three voters: crashes, disks put back to earlier states, messages
 * that come late, twice, in any order or never. Bugs that are put in are found.
 */
import { describe, expect, test } from '@jest/globals';
import { assertDefined } from '../../../base/assert.ts';
import { chance, pick, SeededRandom } from '../../../base/random.ts';
import { logIndex, term } from '../../../base/units.ts';
import { idOf, memberOf } from '../testing/simCluster.ts';
import type { ServerId } from '../types.ts';
import { Admission } from './admission.ts';
import { judgeBoot, nextBoot } from './boot.ts';
import type { Boot, OwnBoot } from './boot.ts';

const NUMBERS = [1, 2, 3] as const;
const CONFIGURATION = {
  term: term(1),
  index: logIndex(1),
  configuration: { voters: NUMBERS.map(memberOf), learners: [] },
};
const STEPS = 120;
const RUNS = 300;

interface Rules {
  readonly nextBoot: typeof nextBoot;
  readonly judgeBoot: typeof judgeBoot;
  /** The process that an answer is taken for, when it was for `asked`. */
  readonly echo: (asked: string, mine: string) => string;
}
const RULES: Rules = { nextBoot, judgeBoot, echo: (asked) => asked };

interface Disk {
  readonly own: OwnBoot;
  readonly heard: ReadonlyMap<ServerId, Boot>;
}

interface Server {
  readonly id: ServerId;
  disk: Disk;
  image: Disk | null;
  /** The disk lacks something that this server may have promised by. */
  isDamaged: boolean;
  process: string;
  admission: Admission;
  state: 'Waiting' | 'Admitted' | 'Refused';
}

interface Message {
  readonly from: ServerId;
  readonly process: string;
  readonly boot: Boot;
  readonly answer: { readonly from: ServerId; readonly isConfirmed: boolean } | null;
}

class Model {
  readonly #random: SeededRandom;
  readonly #rules: Rules;
  readonly #servers: readonly Server[];
  /** All that were ever sent. */
  readonly #messages: Message[] = [];
  #drawn = 0;
  readonly counts = { rollBacks: 0, refusals: 0, admissions: 0 };

  constructor(seed: number, rules: Rules) {
    this.#random = new SeededRandom(seed);
    this.#rules = rules;
    this.#servers = NUMBERS.map((number) => {
      const own = { epoch: 1, nonce: this.#draw(), isAdmitted: true };
      const admission = new Admission(idOf(number), '');
      const disk = { own, heard: new Map() };
      const rest = { image: null, isDamaged: false, process: '', admission };
      return { id: idOf(number), disk, state: 'Admitted' as const, ...rest };
    });
  }

  #draw(): string {
    this.#drawn += 1;
    return `drawn ${this.#drawn}`;
  }

  #server(id: ServerId): Server {
    return assertDefined(
      this.#servers.find((server) => server.id === id),
      'There is such a server',
    );
  }

  start(server: Server, disk: Disk): void {
    server.disk = { ...disk, own: this.#rules.nextBoot(disk.own, () => this.#draw()) };
    server.process = this.#draw();
    server.admission = new Admission(server.id, server.process);
    server.state = 'Waiting';
    const { id: from, process } = server;
    this.#messages.push({ from, process, boot: server.disk.own, answer: null });
  }

  restartAll(): void {
    for (const server of this.#servers) this.start(server, server.disk);
  }

  /** The fault model: the disk has booted since, and too few to admit it have not heard of that. */
  #isDetectable(server: Server, image: Disk): boolean {
    const { epoch } = server.disk.own;
    const deaf = this.#servers.filter(
      (other) => other !== server && (other.disk.heard.get(server.id)?.epoch ?? 0) < epoch,
    );
    return image.own.epoch < epoch && 2 * (deaf.length + 1) <= NUMBERS.length;
  }

  #rollBack(server: Server): void {
    const { image } = server;
    if (image === null || !this.#isDetectable(server, image)) return;
    // It has forgotten what it heard, too: with two of these no majority of disks lives.
    if (this.#servers.some((other) => other !== server && other.isDamaged)) return;
    this.counts.rollBacks += 1;
    server.isDamaged = true;
    this.start(server, image);
  }

  #deliver(message: Message): void {
    if (message.answer === null) {
      for (const server of this.#servers)
        if (server.id !== message.from && chance(this.#random, 0.5)) this.#judge(server, message);
      return;
    }
    const server = this.#server(message.from);
    const { from, isConfirmed } = message.answer;
    const answer = {
      process: this.#rules.echo(message.process, server.process),
      refusal: isConfirmed ? null : 'refused',
      configuration: CONFIGURATION,
    };
    server.admission.answered(from, answer, 0);
    this.decide(server);
  }

  #askAll(message: Message): void {
    for (const server of this.#servers)
      if (server.id !== message.from) this.#judge(server, message);
  }

  #judge(server: Server, message: Message): void {
    const verdict = this.#rules.judgeBoot(server.disk.heard.get(message.from), message.boot);
    if (verdict === 'New') {
      const heard = new Map(server.disk.heard).set(message.from, message.boot);
      server.disk = { ...server.disk, heard };
    }
    const answer = { from: server.id, isConfirmed: verdict !== 'Refused' };
    this.#messages.push({ ...message, answer });
  }

  decide(server: Server): void {
    if (server.state !== 'Waiting') return;
    server.state = server.admission.decide(CONFIGURATION, true).type;
    if (server.state === 'Waiting') return;
    if (server.state === 'Refused') {
      this.counts.refusals += 1;
      if (!server.isDamaged) throw new Error(`${server.id} is intact and was refused`);
      return;
    }
    this.counts.admissions += 1;
    server.disk = { ...server.disk, own: { ...server.disk.own, isAdmitted: true } };
    if (server.isDamaged) throw new Error(`${server.id} was put back and was admitted`);
  }

  /** One thing that happens. */
  step(): void {
    const server = pick(this.#random, this.#servers);
    const fate = this.#random.uint32() % 20;
    if (fate < 2)
      this.start(server, server.disk); // damaged or not: a supervisor starts it again
    else if (fate === 2) server.image ??= server.disk;
    else if (fate === 3) this.#rollBack(server);
    else if (this.#messages.length > 0) this.#deliver(pick(this.#random, this.#messages));
  }

  /** Everybody starts anew, and every message arrives. */
  calm(): void {
    this.restartAll();
    for (let at = 0; at < this.#messages.length; at += 1) {
      const message = assertDefined(this.#messages[at], 'There are so many');
      const isOld = message.process !== this.#server(message.from).process;
      if (isOld) continue;
      if (message.answer !== null) this.#deliver(message);
      else this.#askAll(message);
    }
    for (const { id, isDamaged, state } of this.#servers)
      if (!isDamaged && state !== 'Admitted') throw new Error(`${id} is intact and is ${state}`);
  }
}

function run(rules: Rules): Model['counts'] {
  const sum = { rollBacks: 0, refusals: 0, admissions: 0 };
  for (let seed = 1; seed <= RUNS; seed += 1) {
    const model = new Model(seed, rules);
    for (let step = 0; step < STEPS; step += 1) model.step();
    model.calm();
    for (const key of Object.keys(sum) as (keyof typeof sum)[]) sum[key] += model.counts[key];
  }
  return sum;
}

describe('admission', () => {
  test('takes every intact disk and no disk that was put back', () => {
    const counts = run(RULES);
    expect(counts.rollBacks).toBeGreaterThan(100);
    expect(counts.refusals).toBeGreaterThan(100);
    expect(counts.admissions).toBeGreaterThan(RUNS);
  });

  test.each<[string, Partial<Rules>, RegExp]>([
    [
      'the epoch rises with each attempt',
      { nextBoot: (last, draw) => nextBoot(last && { ...last, isAdmitted: true }, draw) },
      /put back and was admitted/,
    ],
    [
      'the epoch is not compared',
      { judgeBoot: (heard, asked) => (asked.epoch > 0 ? 'New' : judgeBoot(heard, asked)) },
      /put back and was admitted/,
    ],
    [
      'the nonce is not compared',
      {
        judgeBoot: (heard, asked) => judgeBoot(heard && { ...heard, nonce: asked.nonce }, asked),
      },
      /put back and was admitted/,
    ],
    [
      'a repeat is refused',
      { judgeBoot: (heard, asked) => (judgeBoot(heard, asked) === 'New' ? 'New' : 'Refused') },
      /intact and (was refused|is Refused)/,
    ],
    [
      'answers to other processes count',
      { echo: (_asked, mine) => mine },
      /put back and was admitted|intact and was refused/,
    ],
  ])('is broken when %s', (_name, change, message) => {
    expect(() => run({ ...RULES, ...change })).toThrow(message);
  });
});
