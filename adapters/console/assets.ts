import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { Router } from 'express';
import { LOOK, LOOK_NAME } from '../../core/look.ts';

const FOLDER = join(import.meta.dirname, 'assets');
const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** The style sheet and the scripts, at an address that changes with any of them, so that browsers may keep them for a year. */
export function createAssets(): { readonly path: string; readonly routes: Router } {
  const own = readdirSync(FOLDER).map((name) => [name, readFileSync(join(FOLDER, name))] as const);
  const files = new Map([[LOOK_NAME, LOOK], ...own]);
  const hash = createHash('sha256');
  for (const [name, bytes] of [...files].sort(([one], [other]) => (one < other ? -1 : 1)))
    hash.update(name).update(bytes);
  const path = `/console/assets/${hash.digest('hex').slice(0, 16)}`;
  const routes = Router();
  routes.get('/console/assets/:version/:name', (request, response, next) => {
    const bytes = files.get(request.params.name);
    if (!bytes) return next();
    response.set({
      'Cache-Control': 'public, max-age=31536000, immutable',
      'Content-Type': TYPES[extname(request.params.name)] ?? 'application/octet-stream',
    });
    response.send(bytes);
  });
  return { path, routes };
}
