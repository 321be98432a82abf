// A worker as bot/main.ts starts one for `ROLE=worker`, for which Shopify is a practice one: `node run-worker.ts '{"origin": …}'`.
import { readConfig } from '../../bot/config.ts';
import { explain } from '../../bot/explain.ts';
import { start, stopOnSignals } from '../../bot/main.ts';
import { services } from '../../core/services/index.ts';
import type { PracticeShopify } from '../practice/shopify/server.ts';
import { practiceService } from '../practice/shopify/service.ts';

/** Where the practice Shopify is. */
export type PracticePlace = Pick<PracticeShopify, 'origin' | 'dashboard' | 'accounts'>;

try {
  // The test that starts this program wrote the argument.
  const place = JSON.parse(process.argv[2] ?? '') as PracticePlace;
  const known = services.map((service) => (service.id === 'shopify' ? practiceService(place) : service));
  const app = await start(readConfig(process.env), { services: known });
  stopOnSignals(app.stop, () => {});
  process.stderr.write('Countersign is ready.\n');
} catch (error) {
  process.stderr.write(`${explain(error)}\n`);
  process.exit(1);
}
