/** Asks nodes by their admin API (protocol/admin). What cannot be reached or understood is null: unknown, never false. */
import http from 'node:http';
import type {
  AdminError,
  BootstrapRequest,
  ClusterStatus,
  LeadershipRequest,
  NodeStatus,
  Verdict,
  VotersRequest,
} from '../../protocol/admin/types.ts';

const ASK_TIMEOUT_MS = 2000;
/** Moves of leaders take an election. */
const ACT_TIMEOUT_MS = 10_000;
const ANSWER_BYTES_MAX = 4 * 1024 * 1024;

/** A No to what may hurt, of a node or of the API server, or that it did not answer. */
export class AdminRefusal extends Error {
  override readonly name = 'AdminRefusal';
  readonly reason: string;

  constructor(reason: string, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.reason = reason;
  }
}

export interface AdminClient {
  node(host: string): Promise<NodeStatus | null>;
  cluster(host: string): Promise<ClusterStatus | null>;
  canRestart(host: string, nodeId: number): Promise<Verdict | null>;
  /** @throws {AdminRefusal} */
  bootstrap(host: string, request: BootstrapRequest): Promise<void>;
  /** @throws {AdminRefusal} */
  transferLeadership(host: string, request: LeadershipRequest): Promise<void>;
  /** @throws {AdminRefusal} */
  setVoters(host: string, request: VotersRequest): Promise<void>;
}

interface AdminRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: unknown;
}

export interface HttpAdminClientOptions {
  readonly port: number;
  /** A node that does not answer within it cannot be asked. */
  readonly askTimeoutMs?: number;
}

export class HttpAdminClient implements AdminClient {
  readonly #port: number;
  readonly #askTimeoutMs: number;

  constructor({ port, askTimeoutMs = ASK_TIMEOUT_MS }: HttpAdminClientOptions) {
    this.#port = port;
    this.#askTimeoutMs = askTimeoutMs;
  }

  async node(host: string): Promise<NodeStatus | null> {
    return await this.#ask<NodeStatus>(host, 'node');
  }

  async cluster(host: string): Promise<ClusterStatus | null> {
    return await this.#ask<ClusterStatus>(host, 'cluster');
  }

  async canRestart(host: string, nodeId: number): Promise<Verdict | null> {
    return await this.#ask<Verdict>(host, `nodes/${nodeId}/can-restart`);
  }

  async bootstrap(host: string, request: BootstrapRequest): Promise<void> {
    await this.#send(host, { method: 'POST', path: 'bootstrap', body: request });
  }

  async transferLeadership(host: string, request: LeadershipRequest): Promise<void> {
    await this.#send(host, { method: 'POST', path: 'leadership', body: request });
  }

  async setVoters(host: string, request: VotersRequest): Promise<void> {
    await this.#send(host, { method: 'POST', path: 'voters', body: request });
  }

  async #ask<T>(host: string, path: string): Promise<T | null> {
    try {
      return (await this.#send(host, { method: 'GET', path })) as T;
    } catch (error) {
      if (error instanceof AdminRefusal) return null;
      throw error;
    }
  }

  async #send(host: string, { method, path, body }: AdminRequest): Promise<unknown> {
    const signal = AbortSignal.timeout(method === 'GET' ? this.#askTimeoutMs : ACT_TIMEOUT_MS);
    try {
      const { status, text } = await exchange(
        { host, port: this.#port, method, path: `/admin/v1/${path}`, signal, agent: false },
        body === undefined ? '' : JSON.stringify(body),
      );
      const answer: unknown = JSON.parse(text);
      if (status === 200) return answer;
      // What a node of an earlier version does not know has neither.
      const { reason, code = 'NotSupported', message } = answer as Partial<AdminError>;
      throw new AdminRefusal(reason ?? code, message ?? `${host} answers ${status}`);
    } catch (error) {
      if (error instanceof AdminRefusal) throw error;
      const why = error instanceof Error ? error.message : String(error);
      throw new AdminRefusal('NoAnswer', `${host} does not answer: ${why}`, error);
    }
  }
}

async function exchange(
  options: http.RequestOptions,
  body: string,
): Promise<{ status: number; text: string }> {
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    const headers = {
      'Content-Type': 'application/json',
      'Content-Length': Buffer.byteLength(body),
    };
    const request = http.request({ ...options, headers }, resolve);
    request.on('error', reject);
    request.end(body);
  });
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > ANSWER_BYTES_MAX) throw new Error('the answer is too large');
    chunks.push(chunk);
  }
  return { status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') };
}
