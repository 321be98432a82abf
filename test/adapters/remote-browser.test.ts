import { once } from 'node:events';
import { connect } from 'node:net';
import { type BrowserServer, chromium } from 'playwright';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  findChromium,
  type NetworkEgress,
  openNetworkEgress,
  openRemoteBrowser,
} from '../../adapters/browser/index.ts';
import { CONTAINMENT_ARGS } from '../../adapters/browser/launch.ts';
import { type LoopbackSite, serveSite } from '../support/loopback-site.ts';
import { silentLog } from '../support/silent-log.ts';

let site: LoopbackSite;
let other: LoopbackSite;
let egress: NetworkEgress;
let farm: BrowserServer | undefined;
beforeAll(async () => {
  other = await serveSite({ '/': 'other' });
  site = await serveSite({
    '/': `<title>Shop</title><h1>A shop</h1><img src="${other.origin}/leak"><p id="made"></p><script>made.textContent = 'made here'</script>`,
  });
  const privateTargets = [site.authority, other.authority];
  egress = await openNetworkEgress({ url: 'http://127.0.0.1:0', privateTargets, log: silentLog });
});
afterEach(async () => {
  await farm?.close();
  farm = undefined;
});
afterAll(async () => {
  await egress.close();
  await site.close();
  await other.close();
});

/** A farm of one browser: a process of its own that knows nothing of us but what it is started with. */
async function startFarm(options: { readonly usesProxy: boolean; readonly args: readonly string[] }): Promise<string> {
  const path = process.env.CHROMIUM_PATH;
  const found = await findChromium({ log: silentLog, mayInstall: true, ...(path ? { configured: path } : {}) });
  farm = await chromium.launchServer({
    executablePath: found.path,
    chromiumSandbox: process.getuid?.() !== 0,
    host: '127.0.0.1',
    args: [...found.args, ...options.args],
    ...(options.usesProxy ? { proxy: { server: egress.url, bypass: '<-loopback>' } } : {}),
  });
  return farm.wsEndpoint();
}

/** What the proxy answers to bytes as they are. */
async function answerTo(text: string): Promise<string> {
  const socket = connect(Number(new URL(egress.url).port), '127.0.0.1');
  socket.write(text);
  const [answer] = (await once(socket, 'data')) as [Buffer]; // sockets without an encoding give Buffers
  socket.destroy();
  return answer.toString('latin1');
}

describe('a remote browser', () => {
  test('that leaves through our proxy runs the page of an operation, and nothing of it gets past its list', async () => {
    const endpoint = await startFarm({ usesProxy: true, args: CONTAINMENT_ARGS });
    const browser = await openRemoteBrowser({ endpoint, egress, log: silentLog });
    const session = await browser.open({ origins: [site.origin] });
    expect(await session.navigate(`${site.origin}/`, 10_000)).toEqual({ url: `${site.origin}/`, title: 'Shop' });
    expect(await session.text()).toContain('made here');
    const picture = await session.picture({ secrets: [], isRevealing: false });
    expect(picture).toMatchObject({ kind: 'taken', picture: { width: 1280, height: 800 } });
    await expect(session.navigate(`${other.origin}/`, 5_000)).rejects.toMatchObject({ code: 'egress_refused' });
    expect(session.incidents().join()).toContain('was refused (not on the list)');
    await session.close();
    await browser.close();
    expect(other.requests).toEqual([]);
  });

  test.each([
    ['without any arguments', false, [], 'opens pages'],
    ['without the proxy', false, CONTAINMENT_ARGS, 'opens pages'],
    ['with WebRTC as it is', true, CONTAINMENT_ARGS.filter((arg) => !arg.includes('webrtc')), 'sends UDP by WebRTC'],
    ['that looks names up', true, CONTAINMENT_ARGS.filter((arg) => !arg.includes('resolver')), 'looks names up'],
  ])('started %s is refused at start', async (_, usesProxy, args, leak) => {
    const endpoint = await startFarm({ usesProxy, args });
    const opening = openRemoteBrowser({ endpoint, egress, log: silentLog });
    const message = expect.stringMatching(new RegExp(`BROWSER_WS_ENDPOINT ${leak} past our proxy, so it is not used`));
    await expect(opening).rejects.toMatchObject({ code: 'browser_missing', message });
  });

  test('that is not there is refused, without its address, which may hold a token', async () => {
    const endpoint = 'ws://127.0.0.1:9/token-0123456789';
    const opening = openRemoteBrowser({ endpoint, egress, log: silentLog });
    await expect(opening).rejects.toMatchObject({
      code: 'browser_missing',
      message: expect.not.stringContaining('token-'),
    });
  });
});

describe('the proxy on the network', () => {
  test('lets nothing pass without the password of a door, nor with that of one that is closed', async () => {
    const door = await egress.open([site.origin]);
    const { username, password } = door.credentials ?? { username: '', password: '' };
    const signIn = `Proxy-Authorization: Basic ${Buffer.from(`${username}:${password}`).toString('base64')}\r\n`;
    const get = (headers: string) =>
      answerTo(`GET ${site.origin}/ HTTP/1.1\r\nHost: ${site.authority}\r\n${headers}\r\n`);
    const tunnel = (headers: string) =>
      answerTo(`CONNECT ${site.authority} HTTP/1.1\r\nHost: ${site.authority}\r\n${headers}\r\n`);
    for (const way of [get, tunnel]) {
      expect(await way('')).toMatch(/^HTTP\/1.1 407 [\s\S]*proxy-authenticate: Basic/i);
      expect(await way(`Proxy-Authorization: Basic ${Buffer.from(`${username}:x`).toString('base64')}\r\n`)).toMatch(
        / 407 /,
      );
      expect(await way(signIn)).toMatch(/^HTTP\/1.1 200 /);
    }
    expect(await answerTo(`CONNECT ${other.authority} HTTP/1.1\r\nHost: x\r\n${signIn}\r\n`)).toMatch(/ 403 /);
    await door.close();
    for (const way of [get, tunnel]) expect(await way(signIn)).toMatch(/ 407 /);
  });

  test('is no way to itself', async () => {
    const { port } = new URL(egress.url);
    const itself = await openNetworkEgress({
      url: 'http://127.0.0.1:0',
      privateTargets: [`127.0.0.1:${port}`],
      log: silentLog,
    });
    expect(await itself.check(`http://127.0.0.1:${new URL(itself.url).port}`)).toMatchObject({ isAllowed: false });
    await itself.close();
  });
});
