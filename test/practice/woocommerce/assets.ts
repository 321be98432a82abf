import { readFileSync } from 'node:fs';
import { Router } from 'express';

/** Where a real shop serves such a file, and which of ours stands in for it. */
const ASSETS: Readonly<Record<string, string>> = {
  '/wp-admin/css/common.css': 'wp-admin.css',
  '/wp-admin/css/forms.css': 'forms.css',
  '/wp-admin/css/login.css': 'login.css',
  '/wp-admin/js/common.js': 'common.js',
  '/wp-admin/js/user-profile.js': 'user-profile.js',
  '/wp-content/plugins/woocommerce/assets/css/admin.css': 'woocommerce.css',
  '/wp-content/plugins/woocommerce/assets/js/select-woo.js': 'select-woo.js',
  '/wp-content/plugins/woocommerce/assets/js/key-pattern.js': 'key-pattern.js',
  '/wp-content/plugins/woocommerce/assets/js/admin/settings.js': 'settings.js',
  '/wp-content/plugins/woocommerce/assets/js/admin/api-keys.js': 'api-keys.js',
  '/wp-content/uploads/store-icon.png': 'store-icon.png',
};

/** A year: their addresses carry a version. */
const CACHE_CONTROL = 'public, max-age=31536000, immutable';

export function createAssetRoutes(): Router {
  const router = Router();
  for (const [path, file] of Object.entries(ASSETS)) {
    const content = readFileSync(new URL(`assets/${file}`, import.meta.url));
    router.get(path, (_request, response) => {
      response.set('Cache-Control', CACHE_CONTROL).type(file).send(content);
    });
  }
  return router;
}
