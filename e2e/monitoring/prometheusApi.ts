/** The HTTP API of a Prometheus. */

/** What an instant query gives: the value of each series. */
export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A line over time. */
export interface Line {
  readonly metric: Readonly<Record<string, string>>;
  readonly points: readonly (readonly [seconds: number, value: number])[];
}

export class PrometheusApi {
  readonly url: string;

  constructor(url: string) {
    this.url = url;
  }

  async query(expr: string): Promise<readonly Sample[]> {
    const { result } = (await this.get('query', { query: expr })) as {
      result: readonly { metric: Sample['metric']; value: readonly [number, string] }[];
    };
    return result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }));
  }

  async queryRange(
    expr: string,
    [start, end, step]: readonly [start: number, end: number, step: number],
  ): Promise<readonly Line[]> {
    const range = { start: String(start), end: String(end), step: String(step) };
    const { result } = (await this.get('query_range', { query: expr, ...range })) as {
      result: readonly {
        metric: Line['metric'];
        values: readonly (readonly [number, string])[];
      }[];
    };
    return result.map(({ metric, values }) => ({
      metric,
      points: values.map(([seconds, value]) => [seconds, Number(value)] as const),
    }));
  }

  /** `data` of an answer of the HTTP API. */
  async get(what: string, query: Readonly<Record<string, string>> = {}): Promise<unknown> {
    const url = new URL(`/api/v1/${what}`, this.url);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    const response = await fetch(url);
    const body = (await response.json()) as { status: string; data: unknown; error?: string };
    if (body.status !== 'success') throw new Error(`${url.search}: ${body.error}`);
    return body.data;
  }
}
