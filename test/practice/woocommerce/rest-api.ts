import express, { type NextFunction, type Request, type Response, Router } from 'express';
import { field } from './input.ts';
import { type Caller, checkOAuth, type Parameter, refused } from './oauth.ts';
import { json, type Reply, sendReply, text } from './reply.ts';
import { orderJson, productJson, systemStatusJson } from './rest-json.ts';
import { type Shop, takeFault } from './state.ts';

/** `/wp-json/…` for key holders. A browser's session counts for nothing here, as it doesn't without a REST nonce. */
export function createRestRoutes(shop: Shop): Router {
  const router = Router();
  router.use('/wp-json', express.json(), (error: unknown, _request: Request, response: Response, next: NextFunction) =>
    error ? sendReply(response, failure(400, 'rest_invalid_json', 'Invalid JSON body passed.')) : next(),
  );
  router.all(['/wp-json', '/wp-json/{*route}'], (request, response) => {
    response.set({ 'X-Robots-Tag': 'noindex', 'X-Content-Type-Options': 'nosniff' });
    response.set('Access-Control-Expose-Headers', 'X-WP-Total, X-WP-TotalPages, Link');
    sendReply(response, answer(shop, request));
  });
  return router;
}

function answer(shop: Shop, request: Request): Reply {
  if (takeFault(shop, 'rest-unavailable')) return text('Service Unavailable', 503);
  const route = routeOf(request);
  if (route === 'GET /') return json(indexJson(shop));
  if (!request.path.startsWith('/wp-json/wc/')) return NO_ROUTE;
  const caller = callerOf(shop, request);
  if (caller.kind === 'refused') {
    const isBasic = shop.isSecure && request.headers.authorization?.startsWith('Basic ');
    return failure(401, caller.code, caller.message, isBasic ? { 'WWW-Authenticate': BASIC_REALM } : {});
  }
  // The key's own scope is judged before the route, as WooCommerce does it.
  if (caller.kind === 'key') {
    const verb = route.startsWith('GET ') ? 'read' : 'write';
    const isAllowed = caller.key.permissions === 'read_write' || caller.key.permissions === verb;
    if (!isAllowed)
      return failure(401, AUTHENTICATION_ERROR, `The API key provided does not have ${verb} permissions.`);
    shop.keys.touch(caller.key.id);
  }
  const found = shopRoute(shop, request, route);
  if (!found) return NO_ROUTE;
  return caller.kind === 'key' ? found() : REFUSALS[route.startsWith('GET ') ? 'read' : 'write'];
}

/** @returns what answers this route, or nothing when there is none. */
function shopRoute(shop: Shop, request: Request, route: string): (() => Reply) | undefined {
  switch (route) {
    case 'GET /wc/v3/system_status':
      return () => json(systemStatusJson(shop));
    case 'GET /wc/v3/products':
      return () =>
        list(
          shop,
          request,
          shop.catalogue.products().map((product) => productJson(shop.origin, product)),
        );
    case 'GET /wc/v3/orders':
      return () => list(shop, request, shop.catalogue.orders().map(orderJson));
    case 'POST /wc/v3/products':
      return () => createProduct(shop, request);
    default:
      return undefined;
  }
}

/** `GET /wc/v3/products`; a HEAD is asked like a GET. */
function routeOf(request: Request): string {
  const method = request.method === 'HEAD' ? 'GET' : request.method;
  return `${method} ${request.path.replace(/^\/wp-json/, '').replace(/\/$/, '') || '/'}`;
}

const AUTHENTICATION_ERROR = 'woocommerce_rest_authentication_error';
const BASIC_REALM =
  'Basic realm="WooCommerce API. Use a consumer key in the username field and a consumer secret in the password field."';

/** Key and secret in clear count over TLS only; over plain http they are overlooked, not refused. */
function callerOf(shop: Shop, request: Request): Caller {
  const plain = shop.isSecure ? plainCredential(request) : undefined;
  const key = plain && shop.keys.byConsumerKey(plain.consumerKey);
  if (plain && key) {
    const isGood = shop.keys.secretMatches(key.id, plain.consumerSecret);
    return isGood ? { kind: 'key', key } : refused('Consumer secret is invalid.');
  }
  const [path = '', query = ''] = request.originalUrl.split('?');
  const signed = {
    method: request.method,
    url: shop.origin + path,
    parameters: [...new URLSearchParams(query), ...formParameters(request)],
    authorization: request.headers.authorization ?? '',
  };
  return checkOAuth(signed, shop.keys, Date.now() / 1000);
}

function plainCredential(request: Request): { consumerKey: string; consumerSecret: string } | undefined {
  const consumerKey = field(request.query, 'consumer_key');
  const consumerSecret = field(request.query, 'consumer_secret');
  if (consumerKey && consumerSecret) return { consumerKey, consumerSecret };
  const [scheme, encoded = ''] = (request.headers.authorization ?? '').split(' ');
  if (scheme !== 'Basic') return undefined;
  const [name = '', ...rest] = Buffer.from(encoded, 'base64').toString('utf8').split(':');
  return { consumerKey: name, consumerSecret: rest.join(':') };
}

/** RFC 5849, 3.4.1.3.1: a form's fields are signed, a JSON body isn't. */
function formParameters(request: Request): readonly Parameter[] {
  if (!request.is('application/x-www-form-urlencoded')) return [];
  const body: unknown = request.body;
  if (typeof body !== 'object' || body === null) return [];
  return Object.entries(body).flatMap(([name, value]: [string, unknown]): readonly Parameter[] =>
    typeof value === 'string' ? [[name, value]] : [],
  );
}

function list(shop: Shop, request: Request, rows: readonly unknown[]): Reply {
  const perPage = count(request, 'per_page', 10);
  const page = count(request, 'page', 1);
  if (!(page >= 1)) return failure(400, 'rest_invalid_param', 'Invalid parameter(s): page');
  if (!(perPage >= 1 && perPage <= 100)) return failure(400, 'rest_invalid_param', 'Invalid parameter(s): per_page');
  const pages = Math.ceil(rows.length / perPage);
  const next = `<${shop.origin}${request.path}?per_page=${perPage}&page=${page + 1}>; rel="next"`;
  return json(rows.slice((page - 1) * perPage, page * perPage), 200, {
    'X-WP-Total': String(rows.length),
    'X-WP-TotalPages': String(pages),
    ...(page < pages && { Link: next }),
  });
}

/** @returns NaN when it isn't a whole number. */
function count(request: Request, name: string, fallback: number): number {
  const text = field(request.query, name);
  if (text === '') return fallback;
  return /^\d+$/.test(text) ? Number(text) : Number.NaN;
}

function createProduct(shop: Shop, request: Request): Reply {
  const body: unknown = request.body;
  const name = field(body, 'name') || 'Product';
  const product = shop.catalogue.addProduct({ name, price: field(body, 'regular_price'), sku: field(body, 'sku') });
  const location = `${shop.origin}/wp-json/wc/v3/products/${product.id}`;
  return json(productJson(shop.origin, product), 201, { Location: location });
}

function indexJson(shop: Shop) {
  const routes = ['/', '/wc/v3/system_status', '/wc/v3/products', '/wc/v3/orders'];
  return {
    name: shop.name,
    description: 'Practice shop: a simulation',
    url: shop.origin,
    home: shop.origin,
    gmt_offset: 0,
    timezone_string: 'UTC',
    namespaces: ['wc/v3', 'wp/v2'],
    authentication: {},
    routes: Object.fromEntries(routes.map((route) => [route, { namespace: route === '/' ? '' : 'wc/v3' }])),
  };
}

function failure(status: number, code: string, message: string, headers: Readonly<Record<string, string>> = {}): Reply {
  return json({ code, message, data: { status } }, status, headers);
}

const NO_ROUTE = failure(404, 'rest_no_route', 'No route was found matching the URL and request method.');
const REFUSALS = {
  read: failure(401, 'woocommerce_rest_cannot_view', 'Sorry, you cannot list resources.'),
  write: failure(401, 'woocommerce_rest_cannot_create', 'Sorry, you are not allowed to create resources.'),
} as const;
