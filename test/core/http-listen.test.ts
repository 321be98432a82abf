import { createServer } from 'node:http';
import { connect, createServer as createNetServer, type Server } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { listenEverywhere, listenOnLoopback } from '../../core/http-listen.ts';

const opened: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0)) await close();
});

const hello = () => createServer((_, response) => response.end('ours'));
const text = async (url: string) => (await fetch(url, { headers: { connection: 'close' } })).text();

async function open(port: number) {
  const listening = await listenOnLoopback(hello(), port);
  opened.push(listening.close);
  return listening;
}

/** Another account's program at this port of ::1; 0 takes any. */
async function squat(port: number): Promise<number> {
  const squatter: Server = createNetServer((socket) =>
    socket.end('HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\ntheirs'),
  );
  await new Promise<void>((resolve, reject) => {
    squatter.on('error', reject).listen(port, '::1', resolve);
  });
  opened.push(() => new Promise((resolve) => squatter.close(() => resolve())));
  const address = squatter.address();
  return address !== null && typeof address === 'object' ? address.port : 0;
}

test('localhost is ours whichever address it is taken for', async () => {
  const { port } = await open(0);
  for (const host of ['127.0.0.1', '[::1]', 'localhost']) expect(await text(`http://${host}:${port}/`)).toBe('ours');
  await expect(squat(port).then(() => 'squatted')).rejects.toMatchObject({ code: 'EADDRINUSE' });
});

test('a port whose ::1 is taken is no port of ours, and nothing is left open at it', async () => {
  const port = await squat(0);
  await expect(open(port)).rejects.toMatchObject({ code: 'EADDRINUSE' });
  await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toThrow();
  expect((await open(0)).port).not.toBe(port);
});

test('after it is closed neither address answers, and the port may be opened again', async () => {
  const first = await listenOnLoopback(hello(), 0);
  await first.close();
  for (const host of ['127.0.0.1', '::1'])
    await expect(reached(host, first.port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  expect((await open(first.port)).port).toBe(first.port);
});

test('everywhere includes both of this computer’s own addresses', async () => {
  const listening = await listenEverywhere(hello(), 0);
  opened.push(listening.close);
  for (const host of ['127.0.0.1', '[::1]']) expect(await text(`http://${host}:${listening.port}/`)).toBe('ours');
});

function reached(host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port }, () => {
      socket.destroy();
      resolve();
    });
    socket.on('error', reject);
  });
}
