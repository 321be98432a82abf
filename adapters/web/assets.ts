import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { Router } from 'express';
import { LOOK, LOOK_NAME } from '../../core/look.ts';
import { Refusal } from './errors.ts';

const FOLDER = join(import.meta.dirname, 'assets');
const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** The style sheet and the scripts. Their address holds a hash of them all, so that browsers may keep them for a year. */
export function createAssets(): { readonly path: string; readonly routes: Router } {
  const own = readdirSync(FOLDER).map((name) => [name, readFileSync(join(FOLDER, name))] as const);
  const files = new Map([[LOOK_NAME, LOOK], ...own]);
  const version = digest(Buffer.concat([...files].sort().flatMap(([name, bytes]) => [Buffer.from(name), bytes])));
  const routes = Router();
  routes.get('/assets/:version/:name', (request, response) => {
    const bytes = files.get(request.params.name);
    if (!bytes) throw new Refusal(404, 'There is no such file.');
    response.set({
      'Cache-Control': 'public, max-age=31536000, immutable',
      'Content-Type': TYPES[extname(request.params.name)] ?? 'application/octet-stream',
      ETag: `"${digest(bytes)}"`,
    });
    response.send(bytes);
  });
  return { path: `/assets/${version}`, routes };
}

function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 16);
}
