/** Requests of the admin API to a node's http port (docs/admin-api.md). */
import { ERROR_CODES, WalrusError, messageOf } from '../base/errors.ts';
import type { ErrorCode } from '../base/errors.ts';
import type { AdminError } from '../protocol/admin/types.ts';

/** A node may ask the metadata leader, and give it up, meanwhile. */
const ASK_TIMEOUT_MS = 8000;

/**
 * Asks a node.
 * @param address - `host:port` of its http port.
 * @param content - The body of the request.
 * @throws {WalrusError} What it refused with; CONNECTION_FAILED when it does not answer.
 */
export async function askAdmin(
  address: string,
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  content?: unknown,
): Promise<unknown> {
  const headers = { 'content-type': 'application/json' };
  const init = content === undefined ? {} : { headers, body: JSON.stringify(content) };
  const url = `http://${address}/admin/v1${path}`;
  const { response, body } = await fetched(url, { method, ...init });
  if (response.ok) return body;
  const { code, message, reason } = body as Partial<AdminError>;
  if (code === undefined || message === undefined || !isKnown(code)) {
    const what = `${address} answers ${response.status}`;
    throw new WalrusError('UNSUPPORTED_VERSION', `${what}: is it the http port of a node?`);
  }
  throw new WalrusError(code, message, { details: { reason: reason ?? '' } });
}

function isKnown(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_CODES, code);
}

async function fetched(
  url: string,
  init: RequestInit,
): Promise<{ readonly response: Response; readonly body: unknown }> {
  try {
    const response = await fetch(url, { ...init, signal: AbortSignal.timeout(ASK_TIMEOUT_MS) });
    return { response, body: await response.json() };
  } catch (cause) {
    const why = cause instanceof Error && cause.cause !== undefined ? cause.cause : cause;
    const message = `No answer from ${url}: ${messageOf(why)}`;
    throw new WalrusError('CONNECTION_FAILED', message, { cause });
  }
}
