/** The admin API on the http port: paths and methods; what is answered is decided in node/server/admin. */
import express from 'express';
import type { NextFunction, Request, Response, Router } from 'express';
import { WalrusError, isWalrusError, messageOf } from '../../base/errors.ts';
import type { AdminApi } from '../server/admin/adminApi.ts';
import { answerOf } from '../server/admin/refusal.ts';

/** More than any request of the API takes. */
const BODY_BYTES_MAX = 4096;

/** The routes below `/admin/v1`. */
export function adminRoutes(api: AdminApi): Router {
  const router = express.Router();
  router.use(express.json({ limit: BODY_BYTES_MAX }));
  router.get(
    '/node',
    answer(() => api.node()),
  );
  router.get(
    '/cluster',
    answer(() => api.cluster()),
  );
  router.get(
    '/nodes/:node/can-restart',
    answer(({ params }) => api.canRestart(String(params['node']))),
  );
  router.post(
    '/bootstrap',
    answer(({ body }) => api.bootstrap(body)),
  );
  router.post(
    '/drain',
    answer(() => api.drain()),
  );
  router.delete(
    '/drain',
    answer(() => api.undrain()),
  );
  router.post(
    '/leadership',
    answer(({ body }) => api.moveLeadership(body)),
  );
  router.post(
    '/voters',
    answer(({ body }) => api.setVoters(body)),
  );
  router.use(refuse);
  return express.Router().use('/admin/v1', router);
}

/** Answers with what a handler returns; what it throws comes to `refuse`. */
function answer(handler: (request: Request) => unknown) {
  return async (request: Request, response: Response): Promise<void> => {
    response.set('Cache-Control', 'no-store').json(await handler(request));
  };
}

/** Express knows an error handler by its four parameters. */
function refuse(error: unknown, _request: Request, response: Response, next: NextFunction): void {
  const failure = isBodyError(error)
    ? new WalrusError('MALFORMED', `The body cannot be read: ${messageOf(error)}`)
    : error;
  if (!isWalrusError(failure)) {
    next(error);
    return;
  }
  const { status, body } = answerOf(failure);
  response.set('Cache-Control', 'no-store').status(status).json(body);
}

/** What the body's parser says of what was sent. */
function isBodyError(error: unknown): boolean {
  if (typeof error !== 'object' || error === null || !('status' in error)) return false;
  return 'type' in error && typeof error.status === 'number' && error.status < 500;
}
