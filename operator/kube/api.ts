/**
 * The API server, as the operator needs it: JSON over HTTP with its kinds of patches, and watches as streams of lines.
 * The client library finds out where the server is and how to authenticate; nothing else of it is used, since its
 * informers stop on errors and know no back-off.
 */
import https from 'node:https';
import type { IncomingMessage } from 'node:http';
import { createInterface } from 'node:readline';
import type { KubeConfig } from '@kubernetes/client-node';

export const APPLY = 'application/apply-patch+yaml';
export const MERGE = 'application/merge-patch+json';

export type Json = Readonly<Record<string, unknown>>;

export interface KubeRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly signal?: AbortSignal;
}

/** What the API server adds to some answers. */
export interface StatusDetails {
  readonly causes?: readonly { readonly reason?: string; readonly message?: string }[];
  readonly retryAfterSeconds?: number;
}

/** An answer other than success, or none. */
export class KubeError extends Error {
  override readonly name = 'KubeError';
  /** HTTP status; 0 when the server did not answer. */
  readonly status: number;
  /** Kubernetes' word for it: `NotFound`, `Conflict`, `Expired`. */
  readonly reason: string;
  readonly details: StatusDetails;

  constructor(
    status: number,
    reason: string,
    message: string,
    { cause, details = {} }: { cause?: unknown; details?: StatusDetails } = {},
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.status = status;
    this.reason = reason;
    this.details = details;
  }
}

export function isKubeError(error: unknown, ...statuses: readonly number[]): error is KubeError {
  return error instanceof KubeError && (statuses.length === 0 || statuses.includes(error.status));
}

/** Answers about the object itself: malformed (also 500, from server-side apply), forbidden, over a quota, invalid, too large. */
const REFUSALS = [400, 403, 413, 422, 500] as const;

/** The API server, or a hook of it, does not take it as it is: the same again has the same answer until somebody mends something. */
export function isRefusal(error: unknown): error is KubeError {
  return isKubeError(error, ...REFUSALS);
}

/** What the rest of the operator uses; tests put another one in its place. */
export interface KubeApi {
  /** @throws {KubeError} */
  request(request: KubeRequest): Promise<Json>;
  /**
   * The lines of a watch, parsed, until the server ends it or `signal` does.
   * @throws {KubeError} also for what breaks the connection in between
   */
  watch(
    path: string,
    query: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): AsyncIterable<Json>;
}

const REQUEST_TIMEOUT_MS = 15_000;
/** An object is at most 1.5 MiB in etcd; a list of many may be more. */
const ANSWER_BYTES_MAX = 256 * 1024 * 1024;
const ERROR_BYTES_MAX = 64 * 1024;

export class HttpKubeApi implements KubeApi {
  readonly #config: KubeConfig;

  constructor(config: KubeConfig) {
    this.#config = config;
  }

  async request(request: KubeRequest): Promise<Json> {
    const timeout = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
    const signal =
      request.signal === undefined ? timeout : AbortSignal.any([timeout, request.signal]);
    const response = await this.#send(request, signal);
    const text = await readAll(response, ANSWER_BYTES_MAX);
    return parse(text, request.path);
  }

  async *watch(
    path: string,
    query: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): AsyncIterable<Json> {
    const response = await this.#send({ method: 'GET', path, query }, signal);
    const lines = createInterface({ input: response, crlfDelay: Infinity });
    try {
      for await (const line of lines) if (line !== '') yield parse(line, path);
    } catch (error) {
      throw noAnswer(path, error);
    } finally {
      lines.close();
      response.destroy();
    }
  }

  async #send(request: KubeRequest, signal: AbortSignal): Promise<IncomingMessage> {
    const { method, path, query = {}, body, contentType = 'application/json' } = request;
    const server = this.#config.getCurrentCluster()?.server ?? '';
    const url = new URL(server + path);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    const text = body === undefined ? undefined : JSON.stringify(body);
    const options: https.RequestOptions = {
      method,
      signal,
      headers: {
        Accept: 'application/json',
        'User-Agent': 'walrus-operator',
        ...(text === undefined
          ? {}
          : { 'Content-Type': contentType, 'Content-Length': Buffer.byteLength(text) }),
      },
    };
    await this.#config.applyToHTTPSOptions(options);
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const outgoing = https.request(url, options, resolve);
      outgoing.on('error', (error) => reject(noAnswer(path, error)));
      outgoing.end(text);
    });
    const { statusCode = 0 } = response;
    if (statusCode >= 200 && statusCode < 300) return response;
    throw errorOf(statusCode, await readAll(response, ERROR_BYTES_MAX), `${method} ${path}`);
  }
}

async function readAll(response: IncomingMessage, bytesMax: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > bytesMax) throw new Error(`the answer is larger than ${bytesMax} bytes`);
      chunks.push(chunk);
    }
  } catch (error) {
    throw noAnswer('the answer', error);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parse(text: string, path: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    throw new KubeError(0, 'Malformed', `The API server's answer to ${path} is no JSON`, {
      cause: error,
    });
  }
}

function noAnswer(path: string, cause: unknown): KubeError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new KubeError(0, 'NoAnswer', `The API server does not answer (${path}): ${why}`, {
    cause,
  });
}

function errorOf(status: number, body: string, what: string): KubeError {
  let parsed: { reason?: string; message?: string; details?: StatusDetails | null } = {};
  try {
    parsed = JSON.parse(body) as typeof parsed;
  } catch {
    // A proxy's page: the status says enough.
  }
  const message = parsed.message ?? `HTTP status ${status}`;
  const details = parsed.details ?? {};
  const why = (details.causes ?? []).flatMap((cause) => cause.message ?? []);
  const text = [`${what}: ${message}`, ...why].join(' ');
  return new KubeError(status, parsed.reason ?? '', text, { details });
}
