import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { networkInterfaces } from 'node:os';
import type { Browser as PlaywrightBrowser } from 'playwright';
import { CountersignError } from '../../core/errors.ts';
import { within } from './errors.ts';
import { gatherCandidates } from './in-page.ts';
import type { ProxySettings } from './launch.ts';

const PROBE_LIMIT_MS = 10_000;

/**
 * Lets this very browser try WebRTC against a socket of ours: which switch closes it differs between builds, and no
 * proxy would see it. @throws CountersignError `browser_missing` when a packet arrives.
 */
export async function refuseUdpLeak(browser: PlaywrightBrowser, proxy: ProxySettings): Promise<void> {
  if (!(await leaksUdp(browser, proxy))) return;
  throw new CountersignError(
    'browser_missing',
    'This Chromium lets WebRTC go past the egress proxy, so it is not used: set CHROMIUM_PATH to a full build of Chromium or Google Chrome.',
  );
}

/**
 * Whether a packet arrives, or the browser would offer an address of its own: a socket behind a firewall hears nothing.
 * @param host where the browser reaches this machine; an address of ours where it runs here.
 */
export async function leaksUdp(
  browser: PlaywrightBrowser,
  proxy: ProxySettings,
  host = ownAddress(),
): Promise<boolean> {
  const socket = createSocket('udp4');
  const hit = new Promise<'hit'>((done) => socket.once('message', () => done('hit')));
  try {
    await bind(socket);
    const tried = tryStun(browser, proxy, `stun:${host}:${socket.address().port}`);
    const first = await Promise.race([hit, tried]);
    return first === 'hit' || first > 0;
  } finally {
    socket.close();
  }
}

async function bind(socket: Socket): Promise<void> {
  socket.bind(0);
  await once(socket, 'listening');
}

/** @returns how many addresses for UDP it found. */
async function tryStun(browser: PlaywrightBrowser, proxy: ProxySettings, server: string): Promise<number> {
  const context = await browser.newContext({ proxy });
  try {
    const page = await context.newPage();
    return await within(PROBE_LIMIT_MS, 'Trying WebRTC', page.evaluate(gatherCandidates, server));
  } finally {
    await context.close();
  }
}

/** WebRTC leaves loopback out where the machine has another address. */
function ownAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return all.find((one) => one.family === 'IPv4' && !one.internal)?.address ?? '127.0.0.1';
}
