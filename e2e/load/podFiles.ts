/**
 * The clients' program for a pod: the same sources as outside, which Node runs as they are. What they import of the product
 * is that of the image.
 */
import fs from 'node:fs/promises';
import path from 'node:path';
import { ROOT } from '../kube/root.ts';

/** Where the image has the compiled product (scripts/image/files.ts). */
const PRODUCT = '/app/dist/';
const MAIN = 'podMain.ts';
const FROM = /(?<= from ')(\.\.?\/[^']+)(?=';)/g;

/** @returns By name: what lies in one folder of the pod. */
export async function podFiles(): Promise<Record<string, string>> {
  const files: Record<string, string> = { 'package.json': '{"type":"module"}' };
  const wanted = [path.join(ROOT, 'e2e', 'load', MAIN)];
  for (const file of wanted) {
    const name = path.basename(file);
    if (files[name] !== undefined) continue;
    const source = await fs.readFile(file, 'utf8');
    files[name] = source.replace(FROM, (specifier) => {
      const target = path.resolve(path.dirname(file), specifier);
      const where = path.relative(ROOT, target);
      if (!where.startsWith(`e2e${path.sep}`)) return PRODUCT + where.replace(/\.ts$/, '.js');
      wanted.push(target);
      return `./${path.basename(target)}`;
    });
  }
  return files;
}

export const POD_MAIN = MAIN;
