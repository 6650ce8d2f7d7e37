/**
 * The http port: `/livez`, `/readyz` and `/metrics`; more routes (the admin API) come as a router.
 * Bodies are JSON, also those of errors: `{"status":"ok"|"failed"|"error", ...}`.
 */
import express from 'express';
import type { NextFunction, Request, Response, Router } from 'express';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Registry } from 'prom-client';
import { WalrusError, messageOf } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import { errnoOf } from './errno.ts';

/** The answer to a health question. */
export interface Check {
  readonly isOk: boolean;
  /** What is not in order, a sentence each, for people; empty when all is. */
  readonly reasons: readonly string[];
}

/** Who knows how the node is. */
export interface HealthSource {
  /** False only when a restart would help. */
  live(): Check;
  /** True when this node serves what it can; trouble of the whole cluster does not count (DESIGN section 8). */
  ready(): Check;
}

export interface HttpServerOptions {
  readonly host: string;
  readonly port: number;
  readonly health: HealthSource;
  readonly registry: Registry;
  readonly logger: Logger;
  /** More routes, asked before the 404. */
  readonly routes?: Router;
  /** Where the other protocols are spoken, `host:port`, for who has taken this port for theirs. */
  readonly clientAddress?: string;
}

export interface RunningHttpServer {
  readonly port: number;
  /** Finishes the requests under way, closes idle connections, and what is left after `CLOSE_TIMEOUT_MS`. */
  close(): Promise<void>;
}

/** Bounds against clients that are slow or gone. */
const REQUEST_TIMEOUT_MS = 30_000;
const CLOSE_TIMEOUT_MS = 2_000;
const MAX_CONNECTIONS = 256;
/** What is wrong with a request that HTTP's parser refuses, if it is more than that it is none. */
const REFUSAL_STATUS: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};

/**
 * Starts the server.
 * @throws {WalrusError} ADDRESS_IN_USE; INVALID_CONFIG when the address cannot be used for another reason.
 */
export function startHttpServer(options: HttpServerOptions): Promise<RunningHttpServer> {
  const server = http.createServer({ requestTimeout: REQUEST_TIMEOUT_MS }, application(options));
  server.maxConnections = MAX_CONNECTIONS;
  server.on('clientError', (error, socket) => refuse(socket, error, options.clientAddress));
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      reject(listenError(options, cause));
    });
    server.listen({ host: options.host, port: options.port }, () => {
      server.removeAllListeners('error');
      server.on('error', (error) => {
        options.logger.log('warn', 'The http port had an error', { reason: error.message });
      });
      const { port } = server.address() as AddressInfo;
      resolve({ port, close: () => closeServer(server) });
    });
  });
}

function application({ health, registry, logger, routes }: HttpServerOptions): express.Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.get('/livez', (_request, response) => {
    answer(response, health.live());
  });
  app.get('/readyz', (_request, response) => {
    answer(response, health.ready());
  });
  app.get('/metrics', async (_request, response) => {
    const body = await registry.metrics();
    response.set('Content-Type', registry.contentType).send(body);
  });
  if (routes !== undefined) app.use(routes);
  app.use((request: Request, response: Response) => {
    const message = `There is no ${request.method} ${request.path} here`;
    response.status(404).json({ status: 'error', message });
  });
  // Express knows an error handler by its four parameters.
  app.use((error: unknown, request: Request, response: Response, next: NextFunction) => {
    const { path } = request;
    logger.log('error', 'A request on the http port failed', { path, reason: messageOf(error) });
    if (response.headersSent)
      next(error); // closes the connection
    else response.status(statusOf(error)).json({ status: 'error', message: messageOf(error) });
  });
  return app;
}

/** Answers what is no HTTP, or none that can be taken, in words: often it is a person who has taken the wrong port. */
function refuse(socket: Duplex, error: Error, clientAddress: string | undefined): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const status = REFUSAL_STATUS[String(errnoOf(error))] ?? 400;
  const where =
    clientAddress === undefined
      ? ''
      : `; the text and the binary protocol are spoken at ${clientAddress}`;
  const problem =
    status === 400 ? 'what came is no HTTP request' : String(http.STATUS_CODES[status]);
  const message = `This is an http port: ${problem}${where}`;
  const body = `${JSON.stringify({ status: 'error', message })}\n`;
  const head = [
    `HTTP/1.1 ${status} ${String(http.STATUS_CODES[status])}`,
    'Content-Type: application/json; charset=utf-8',
    'Connection: close',
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}

function answer(response: Response, { isOk, reasons }: Check): void {
  response.set('Cache-Control', 'no-store');
  response.status(isOk ? 200 : 503).json({ status: isOk ? 'ok' : 'failed', reasons });
}

/** Errors of Express itself (a malformed URL) carry a status of their own. */
function statusOf(error: unknown): number {
  const status: unknown =
    typeof error === 'object' && error !== null && 'status' in error ? error.status : undefined;
  return typeof status === 'number' && status >= 400 && status < 500 ? status : 500;
}

function closeServer(server: http.Server): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      server.closeAllConnections();
    }, CLOSE_TIMEOUT_MS);
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
    server.closeIdleConnections();
  });
}

function listenError({ host, port }: HttpServerOptions, cause: Error): WalrusError {
  const isInUse = errnoOf(cause) === 'EADDRINUSE';
  const reason = isInUse ? 'another process uses this port' : cause.message;
  return new WalrusError(
    isInUse ? 'ADDRESS_IN_USE' : 'INVALID_CONFIG',
    `Cannot listen on ${host}:${port} for http: ${reason}`,
    { details: { host, port }, cause },
  );
}
