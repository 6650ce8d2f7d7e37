/** Requests to the API server with a kubeconfig's certificate, for what is asked often: a kubectl costs half a second. */
import https from 'node:https';
import fs from 'node:fs/promises';
import path from 'node:path';
import { apiUrl } from './controlPlane.ts';
import { pathsOf } from './spec.ts';
import type { ClusterSpec } from './spec.ts';

const REQUEST_MS_MAX = 5000;

/** The body of `GET path` as the cluster's administrator; undefined when it is not answered with 200. */
export async function apiGet(spec: ClusterSpec, where: string): Promise<string | undefined> {
  const { pki } = pathsOf(spec.dir);
  const read = (name: string): Promise<string> => fs.readFile(path.join(pki, name), 'utf8');
  const [ca, cert, key] = await Promise.all([read('ca.crt'), read('admin.crt'), read('admin.key')]);
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const options = { ca, cert, key, agent: false, timeout: REQUEST_MS_MAX };
  const request = https.get(`${apiUrl(spec)}${where}`, options, (response) => {
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    response.on('error', () => resolve(undefined));
    response.on('end', () => {
      resolve(response.statusCode === 200 ? Buffer.concat(chunks).toString() : undefined);
    });
  });
  request.on('timeout', () => request.destroy());
  request.on('error', () => resolve(undefined));
  return promise;
}
