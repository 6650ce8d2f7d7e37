/** The API server, with a look at each request to it. */
import type { Clock } from '../../base/clock.ts';
import { isKubeError } from './api.ts';
import type { Json, KubeApi, KubeRequest } from './api.ts';

/** A request that has been answered, or not. */
export interface MeasuredRequest {
  readonly verb: KubeRequest['method'] | 'WATCH';
  /** `2xx`, the status of a failure, or `none` without an answer. */
  readonly code: string;
  readonly durationMs: number;
}

export class MeasuredKubeApi implements KubeApi {
  readonly #api: KubeApi;
  readonly #clock: Clock;
  readonly #onEnd: (request: MeasuredRequest) => void;

  constructor(api: KubeApi, clock: Clock, onEnd: (request: MeasuredRequest) => void) {
    this.#api = api;
    this.#clock = clock;
    this.#onEnd = onEnd;
  }

  async request(request: KubeRequest): Promise<Json> {
    const end = this.#begin(request.method);
    try {
      const answer = await this.#api.request(request);
      end('2xx');
      return answer;
    } catch (error) {
      end(codeOf(error));
      throw error;
    }
  }

  /** Counted when it ends: that is when it is known how. */
  async *watch(
    path: string,
    query: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): AsyncIterable<Json> {
    const end = this.#begin('WATCH');
    try {
      yield* this.#api.watch(path, query, signal);
      end('2xx');
    } catch (error) {
      if (!signal.aborted) end(codeOf(error));
      throw error;
    }
  }

  #begin(verb: MeasuredRequest['verb']): (code: string) => void {
    const startMs = this.#clock.monotonicMs();
    return (code) => {
      this.#onEnd({ verb, code, durationMs: this.#clock.monotonicMs() - startMs });
    };
  }
}

function codeOf(error: unknown): string {
  return isKubeError(error) && error.status !== 0 ? String(error.status) : 'none';
}
