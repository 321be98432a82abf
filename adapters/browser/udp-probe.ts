import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { networkInterfaces } from 'node:os';
import type { Browser as PlaywrightBrowser } from 'playwright';
import { CountersignError } from '../../core/errors.ts';
import { within } from './errors.ts';
import { gatherCandidates } from './in-page.ts';
import { NO_BYPASS } from './launch.ts';

const PROBE_LIMIT_MS = 10_000;

/**
 * Lets this very browser try WebRTC against a socket of ours: which switch closes it differs between builds, and no
 * proxy would see it. @throws CountersignError `browser_missing` when a packet arrives.
 */
export async function refuseUdpLeak(browser: PlaywrightBrowser, denyProxyUrl: string): Promise<void> {
  const socket = createSocket('udp4');
  const hit = new Promise<'hit'>((done) => socket.once('message', () => done('hit')));
  try {
    await bind(socket);
    const tried = tryStun(browser, denyProxyUrl, `stun:${ownAddress()}:${socket.address().port}`);
    if ((await Promise.race([hit, tried])) !== 'hit') return;
  } finally {
    socket.close();
  }
  throw new CountersignError(
    'browser_missing',
    'This Chromium lets WebRTC go past the egress proxy, so it is not used: set CHROMIUM_PATH to a full build of Chromium or Google Chrome.',
  );
}

async function bind(socket: Socket): Promise<void> {
  socket.bind(0);
  await once(socket, 'listening');
}

async function tryStun(browser: PlaywrightBrowser, denyProxyUrl: string, server: string): Promise<'tried'> {
  const context = await browser.newContext({ proxy: { server: denyProxyUrl, bypass: NO_BYPASS } });
  try {
    const page = await context.newPage();
    await within(PROBE_LIMIT_MS, 'Trying WebRTC', page.evaluate(gatherCandidates, server));
    return 'tried';
  } finally {
    await context.close();
  }
}

/** WebRTC leaves loopback out where the machine has another address. */
function ownAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return all.find((one) => one.family === 'IPv4' && !one.internal)?.address ?? '127.0.0.1';
}
