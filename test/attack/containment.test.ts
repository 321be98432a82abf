import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import { chromium } from 'playwright';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createBrowser, createEgress, findChromium } from '../../adapters/browser/index.ts';
import { proxyBy } from '../../adapters/browser/launch.ts';
import { refuseUdpLeak } from '../../adapters/browser/udp-probe.ts';
import type { Browser } from '../../core/ports/browser.ts';
import type { Egress, EgressDoor } from '../../core/ports/egress.ts';
import { type LoopbackSite, serveSite } from '../support/loopback-site.ts';
import { silentLog as log } from '../support/silent-log.ts';
import {
  addressOf,
  CANARY_DOMAIN,
  type Canaries,
  hostilePages,
  serviceWorkerScript,
  UDP_WAYS,
  WAYS,
} from './hostile-page.ts';

/** What arrived: names of ways. Cleared by each test. */
const hits = new Set<string>();
let canary: Server;
let sockets: Socket[];
let canaries: Canaries;
let site: LoopbackSite;

beforeAll(async () => {
  canary = createServer((request, response) => {
    hits.add(wayOf(request.headers.host));
    response.setHeader('access-control-allow-origin', '*').end();
  });
  canary.on('upgrade', (request, socket) => {
    hits.add(wayOf(request.headers.host));
    socket.destroy();
  });
  canary.on('clientError', (_error, socket) => {
    hits.add('turn-over-tcp'); // the one that speaks something else than HTTP
    socket.destroy();
  });
  canary.listen(0, '127.0.0.1');
  await once(canary, 'listening');
  sockets = await Promise.all(UDP_WAYS.map(udpCanary));
  const udp = Object.fromEntries(UDP_WAYS.map((way, i) => [way, `${ownAddress()}:${sockets[i]?.address().port}`]));
  canaries = { port: (canary.address() as AddressInfo).port, udp }; // a listening TCP server has an AddressInfo
  const redirects = WAYS.filter((way) => way.startsWith('redirected-')).map((way) => [
    `/to/${way}`,
    (_asked: unknown, response: { writeHead(status: number, headers: object): { end(): void } }) =>
      response.writeHead(302, { location: `${addressOf(way, canaries)}/x` }).end(),
  ]);
  site = await serveSite({
    ...hostilePages(canaries),
    ...Object.fromEntries(redirects),
    '/worker.js': (_asked, response) =>
      void response.writeHead(200, { 'content-type': 'text/javascript' }).end(serviceWorkerScript(canaries)),
    '/leave': (_asked, response) =>
      void response.writeHead(302, { location: `${addressOf('leave', canaries)}/x` }).end(),
  });
});
afterAll(async () => {
  for (const socket of sockets) socket.close();
  canary.closeAllConnections();
  canary.close();
  await site.close();
});

function wayOf(host: string | undefined): string {
  return host?.split('.')[0] ?? 'unknown';
}

async function udpCanary(way: string): Promise<Socket> {
  const socket = createSocket('udp4');
  socket.on('message', () => hits.add(way));
  socket.bind(0);
  await once(socket, 'listening');
  return socket;
}

/** An address of this machine that isn't loopback, where there is one: WebRTC leaves loopback out. */
function ownAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return all.find((one) => one.family === 'IPv4' && !one.internal)?.address ?? '127.0.0.1';
}

/** The real proxy, with its doors in sight. Every canary's name leads to the canary, and its private address is allowed. */
function watchedEgress(): { egress: Egress; doors: EgressDoor[] } {
  const names = [...WAYS, 'service-worker', 'leave'].map((way) => `${way}.${CANARY_DOMAIN}:${canaries.port}`);
  const lookup = async () => [{ address: '127.0.0.1' }];
  const inner = createEgress({ privateTargets: [site.authority, ...names], log, lookup });
  const doors: EgressDoor[] = [];
  const open: Egress['open'] = async (origins) => {
    const door = await inner.open(origins);
    doors.push(door);
    return door;
  };
  return { egress: { ...inner, open }, doors };
}

function refusedWays(doors: readonly EgressDoor[]): Set<string> {
  const authorities = doors.flatMap((door) => door.refusals()).map((refusal) => refusal.authority);
  return new Set(
    authorities.filter((authority) => authority.includes(CANARY_DOMAIN)).map((authority) => wayOf(authority)),
  );
}

function configured(): { configured?: string } {
  const path = process.env.CHROMIUM_PATH;
  return path === undefined ? {} : { configured: path };
}

function openBrowser(egress: Egress): Browser {
  const chromiumPath = process.env.CHROMIUM_PATH;
  return createBrowser({ egress, log, mayInstall: true, ...(chromiumPath === undefined ? {} : { chromiumPath }) });
}

describe('a hostile page', () => {
  test('reaches every canary when nothing contains it, so that each way is known to work', async () => {
    hits.clear();
    const { path } = await findChromium({ log, mayInstall: true, ...configured() });
    const args = [`--host-resolver-rules=MAP *.${CANARY_DOMAIN} 127.0.0.1`];
    const browser = await chromium.launch({ executablePath: path, chromiumSandbox: process.getuid?.() !== 0, args });
    await (await browser.newPage()).goto(`${site.origin}/hostile`);
    await expect
      .poll(() => [...WAYS, ...UDP_WAYS, 'service-worker'].filter((way) => !hits.has(way)), { timeout: 30_000 })
      .toEqual([]);
    await browser.close();
  });

  test('reaches none of them in a session: each way is refused by the proxy, and no packet goes beside it', async () => {
    hits.clear();
    const { egress, doors } = watchedEgress();
    const browser = openBrowser(egress);
    const session = await browser.open({ origins: [site.origin] });
    await session.navigate(`${site.origin}/hostile`, 20_000);
    expect(await session.waitFor([{ kind: 'visible', locator: { by: 'css', selector: '#tried' } }], 20_000)).toBe(0);
    await expect.poll(() => WAYS.filter((way) => !refusedWays(doors).has(way)), { timeout: 30_000 }).toEqual([]);
    await browser.close();
    expect([...hits]).toEqual([]);
  });

  test('does not even get a browser that lets WebRTC past the proxy: the first start finds out', async () => {
    const { path } = await findChromium({ log, mayInstall: true, ...configured() });
    const deny = await createEgress({ privateTargets: [], log }).open([]);
    const leaky = await chromium.launch({ executablePath: path, chromiumSandbox: process.getuid?.() !== 0 });
    const refusal = { code: 'browser_missing', message: expect.stringContaining('WebRTC') };
    await expect(refuseUdpLeak(leaky, proxyBy(deny))).rejects.toMatchObject(refusal);
    await leaky.close();
    await deny.close();
  });

  test('cannot take the whole page elsewhere by a redirect', async () => {
    hits.clear();
    const { egress, doors } = watchedEgress();
    const browser = openBrowser(egress);
    const session = await browser.open({ origins: [site.origin] });
    await expect(session.navigate(`${site.origin}/leave`, 10_000)).rejects.toMatchObject({ code: 'egress_refused' });
    expect([...refusedWays(doors)]).toEqual(['leave']);
    await browser.close();
    expect([...hits]).toEqual([]);
  });

  test('gains nothing from a name that turns private after it was checked', async () => {
    hits.clear();
    const answers = ['93.184.216.34'];
    const lookup = async () => [{ address: answers.shift() ?? '127.0.0.1' }];
    const egress = createEgress({ privateTargets: [], log, lookup });
    const origin = `http://rebind.${CANARY_DOMAIN}:${canaries.port}`;
    expect(await egress.check(origin)).toEqual({ isAllowed: true });
    const browser = openBrowser(egress);
    const session = await browser.open({ origins: [origin] });
    await expect(session.navigate(`${origin}/`, 10_000)).rejects.toMatchObject({
      code: 'egress_refused',
      message: expect.stringContaining('private address'),
    });
    await browser.close();
    expect([...hits]).toEqual([]);
  });
});
