import { Router } from 'express';
import type { CustomerId } from '../../core/ids.ts';
import type { Screenshots } from '../../core/ports/screenshots.ts';

/** Serves masked pictures, each by an address that names it alone. An altered, unknown or erased one is a plain 404. */
export function pictureRoutes(deps: {
  screenshots: Screenshots;
  read(token: string): { readonly customerId: CustomerId; readonly pictureId: string } | undefined;
}): Router {
  const router = Router();
  router.get('/pictures/:token', async (request, response) => {
    const link = deps.read(request.params.token);
    const picture = link && (await deps.screenshots.get(link.customerId, link.pictureId));
    if (!picture) {
      response.status(404).type('text/plain').send('There is no such picture.');
      return;
    }
    response
      .set({
        'Cache-Control': 'private, no-store',
        'Content-Disposition': 'inline',
        'Content-Security-Policy': "default-src 'none'; sandbox",
        'Cross-Origin-Resource-Policy': 'same-site',
        'X-Content-Type-Options': 'nosniff',
      })
      .type(picture.mediaType)
      .send(picture.bytes);
  });
  return router;
}
