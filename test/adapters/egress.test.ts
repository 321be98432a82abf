import { once } from 'node:events';
import { request } from 'node:http';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createEgress } from '../../adapters/browser/index.ts';
import { createTargetCheck } from '../../adapters/browser/target-check.ts';
import type { EgressDoor } from '../../core/ports/egress.ts';
import { type LoopbackSite, serveSite } from '../support/loopback-site.ts';
import { silentLog as log } from '../support/silent-log.ts';

let site: LoopbackSite;
beforeAll(async () => {
  site = await serveSite({
    '/': 'hello',
    '/headers': (asked, response) => void response.end(JSON.stringify(asked.headers)),
    '/open': (_asked, response) => void response.write('started'),
  });
});
afterAll(() => site.close());

/** Says one thing to a door and gives the first line of its answer. */
async function ask(door: EgressDoor, text: string): Promise<{ status: string; socket: Socket }> {
  const socket = connect(Number(new URL(door.proxyUrl).port), '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(text);
  const [answer] = (await once(socket, 'data')) as [Buffer]; // sockets without an encoding give Buffers
  return { status: answer.toString('latin1').split('\r\n')[0] ?? '', socket };
}

const connectTo = (authority: string) => `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`;

function get(
  door: EgressDoor,
  url: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: string }> {
  return new Promise((done, fail) => {
    const port = Number(new URL(door.proxyUrl).port);
    const sent = request(
      { host: '127.0.0.1', port, path: url, headers: { host: new URL(url).host, ...headers } },
      (response) => {
        let body = '';
        response.on('data', (chunk) => {
          body += chunk;
        });
        response.on('end', () => done({ status: response.statusCode ?? 0, body }));
      },
    );
    sent.on('error', fail);
    sent.end();
  });
}

describe('a door', () => {
  test('lets its origins pass, as plain http and through a tunnel', async () => {
    const door = await createEgress({ privateTargets: [site.authority], log }).open([site.origin]);
    expect(await get(door, `${site.origin}/`)).toMatchObject({ status: 200, body: expect.stringContaining('hello') });
    const { status, socket } = await ask(door, connectTo(site.authority));
    expect(status).toBe('HTTP/1.1 200 Connection established');
    socket.write(`GET / HTTP/1.1\r\nHost: ${site.authority}\r\n\r\n`);
    expect(String(await once(socket, 'data'))).toContain('200 OK');
    expect(door.refusals()).toEqual([]);
    await door.close();
  });

  test.each([
    ['another host', 'example.com:443', 'example.com:443', 'not_listed'],
    ['another port of the same host', 'localhost:1', 'localhost:1', 'not_listed'],
    ['a sign-in name before the host', 'localhost@example.com:443', '(unreadable)', 'malformed'],
    ['a path', 'localhost:80/x', '(unreadable)', 'malformed'],
    ['an IPv6 zone', '[fe80::1%25eth0]:80', '(unreadable)', 'malformed'],
  ])('refuses %s', async (_what, authority, recorded, reason) => {
    const door = await createEgress({ privateTargets: [site.authority], log }).open([site.origin]);
    expect((await ask(door, connectTo(authority))).status).toBe('HTTP/1.1 403 Forbidden');
    expect(door.refusals()).toMatchObject([{ authority: recorded, reason }]);
    await door.close();
  });

  test.each([
    '127.0.0.1',
    '0x7f.1',
    '2130706433',
    '0177.0.0.1',
    '127.1',
    '[::1]',
    '[::ffff:127.0.0.1]',
    '10.0.0.1',
    '169.254.169.254',
    '100.64.0.1',
    '[fd00::1]',
    '[64:ff9b::a00:1]',
  ])('refuses the private address %s although it is on the list', async (host) => {
    const { origin, port } = new URL(`http://${host}:${site.port}`);
    const door = await createEgress({ privateTargets: [], log }).open([origin]);
    expect((await ask(door, connectTo(`${host}:${port}`))).status).toBe('HTTP/1.1 403 Forbidden');
    expect(door.refusals()).toMatchObject([{ reason: 'private_address' }]);
    await door.close();
  });

  test('takes a name with a final dot or in capitals for the same name', async () => {
    const door = await createEgress({ privateTargets: [site.authority], log }).open([site.origin]);
    expect((await ask(door, connectTo(`LOCALHOST.:${site.port}`))).status).toBe('HTTP/1.1 200 Connection established');
    await door.close();
  });

  test('sends end-to-end headers on and keeps the ones of this hop', async () => {
    const door = await createEgress({ privateTargets: [site.authority], log }).open([site.origin]);
    const { body } = await get(door, `${site.origin}/headers`, {
      'x-kept': 'yes',
      'x-hop': 'no',
      connection: 'x-hop',
      'proxy-authorization': 'no',
      te: 'trailers',
    });
    const seen = JSON.parse(body);
    expect(seen).toMatchObject({ host: site.authority, 'x-kept': 'yes' });
    for (const name of ['x-hop', 'proxy-authorization', 'te']) expect(seen).not.toHaveProperty(name);
    await door.close();
  });

  test('refuses a Host header that says another authority than the address', async () => {
    const door = await createEgress({ privateTargets: [site.authority], log }).open([site.origin]);
    expect(await get(door, `${site.origin}/`, { host: 'example.com' })).toMatchObject({ status: 403 });
    expect(door.refusals()).toMatchObject([{ authority: '(unreadable)', reason: 'malformed' }]);
    await door.close();
  });

  test('refuses to upgrade the connection to itself', async () => {
    const door = await createEgress({ privateTargets: [site.authority], log }).open([site.origin]);
    const { status } = await ask(
      door,
      `GET ${site.origin}/ HTTP/1.1\r\nHost: ${site.authority}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
    );
    expect(status).toBe('HTTP/1.1 403 Forbidden');
    await door.close();
  });

  test('never leads to a door, even where its port is configured', async () => {
    const target = { host: '127.0.0.1', port: site.port };
    const check = (doors: readonly number[]) => createTargetCheck([`127.0.0.1:${site.port}`], new Set(doors))(target);
    expect(await check([])).toMatchObject({ isAllowed: true });
    expect(await check([site.port])).toEqual({ isAllowed: false, reason: 'private_address' });
  });

  test('destroys open tunnels when it closes', async () => {
    const door = await createEgress({ privateTargets: [site.authority], log }).open([site.origin]);
    const { socket } = await ask(door, connectTo(site.authority));
    socket.write(`GET /open HTTP/1.1\r\nHost: ${site.authority}\r\n\r\n`);
    await once(socket, 'data');
    const closed = once(socket, 'close');
    await door.close();
    await closed;
    await expect(get(door, `${site.origin}/`)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  test('answers 502, not 403, when nobody listens there', async () => {
    const gone = createServer().listen(0, '127.0.0.1');
    await once(gone, 'listening');
    const { port } = gone.address() as AddressInfo; // a listening TCP server has an AddressInfo
    await new Promise((done) => gone.close(done));
    const door = await createEgress({ privateTargets: [`localhost:${port}`], log }).open([`http://localhost:${port}`]);
    expect((await ask(door, connectTo(`localhost:${port}`))).status).toBe('HTTP/1.1 502 Bad Gateway');
    expect(await get(door, `http://localhost:${port}/`)).toMatchObject({ status: 502 });
    expect(door.refusals()).toEqual([]);
    await door.close();
  });

  test('keeps the last 200 refusals', async () => {
    const door = await createEgress({ privateTargets: [], log }).open([]);
    for (let i = 0; i < 205; i++) await get(door, `http://h${i}.example/secret-path`);
    expect(door.refusals()).toHaveLength(200);
    expect(door.refusals()[0]).toMatchObject({ authority: 'h5.example:80' });
    expect(JSON.stringify(door.refusals())).not.toContain('secret-path');
    await door.close();
  });
});

describe('names', () => {
  test('one private address among public ones is enough to refuse', async () => {
    const lookup = async () => [{ address: '93.184.216.34' }, { address: '10.0.0.1' }];
    expect(await createEgress({ privateTargets: [], log, lookup }).check('https://shop.example')).toEqual({
      isAllowed: false,
      reason: 'private_address',
    });
  });

  test('a name that turns private between the check and the connection is refused at the connection', async () => {
    const answers = ['93.184.216.34', '127.0.0.1'];
    const lookup = async () => [{ address: answers.shift() ?? '127.0.0.1' }];
    const egress = createEgress({ privateTargets: [], log, lookup });
    const origin = `http://rebind.test:${site.port}`;
    expect(await egress.check(origin)).toEqual({ isAllowed: true });
    const door = await egress.open([origin]);
    const before = site.requests.length;
    expect(await get(door, `${origin}/`)).toMatchObject({ status: 403 });
    expect(site.requests.length).toBe(before);
    expect(door.refusals()).toMatchObject([{ authority: `rebind.test:${site.port}`, reason: 'private_address' }]);
    await door.close();
  });

  test('is resolved once a connection, and the checked answer is what is connected to', async () => {
    const lookup = vi.fn(async () => [{ address: '127.0.0.1' }]);
    const authority = `shop.test:${site.port}`;
    const door = await createEgress({ privateTargets: [authority], log, lookup }).open([`http://${authority}`]);
    expect(await get(door, `http://${authority}/`)).toMatchObject({ status: 200 });
    expect(lookup).toHaveBeenCalledTimes(1);
    await door.close();
  });

  test('a resolver that never answers counts as unresolvable after two seconds', async () => {
    const egress = createEgress({ privateTargets: [], log, lookup: () => new Promise(() => undefined) });
    expect(await egress.check('https://slow.example')).toEqual({ isAllowed: false, reason: 'unresolvable' });
  });

  test.each(['ftp://example.com', 'https://example.com/path', 'example.com', 'file:///etc/passwd'])(
    '%s is not an origin',
    async (origin) => {
      const egress = createEgress({ privateTargets: [], log });
      expect(await egress.check(origin)).toEqual({ isAllowed: false, reason: 'malformed' });
      await expect(egress.open([origin])).rejects.toMatchObject({ code: 'egress_refused' });
    },
  );
});
