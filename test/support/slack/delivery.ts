// What Slack sends to the app, signed over HTTP or through a socket that the app opened, and what comes back.
import { createHmac, randomUUID } from 'node:crypto';
import type { Server } from 'node:http';
import { type WebSocket, WebSocketServer } from 'ws';
import { z } from 'zod';

export const SIGNING_SECRET = 'signing secret of the tests';

/** What came back for something that Slack sent. */
export interface Answer {
  readonly isTaken: boolean;
  readonly body: unknown;
  readonly ms: number;
}

export interface Delivery {
  /** Sends to the app what it subscribed to, over HTTP or the socket. */
  deliver(kind: 'events_api' | 'slash_commands' | 'interactive', payload: object): Promise<Answer>;
  /** Where events go from now on; without it they go over the socket. */
  sendTo(url: string): void;
  /** Settles when a socket is open. */
  connected(): Promise<void>;
  /** Ends the sockets. */
  close(): void;
}

/** Sockets are opened at `/link` of the server. */
export function createDelivery(server: Server): Delivery {
  const waiting = new Map<string, (payload: unknown) => void>();
  const sockets = new Set<WebSocket>();
  let eventsUrl: string | undefined;

  const hub = new WebSocketServer({ server, path: '/link' });
  hub.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('message', (data) => {
      const read = z.looseObject({ envelope_id: z.string() }).safeParse(JSON.parse(String(data)));
      if (read.data) waiting.get(read.data.envelope_id)?.(read.data.payload);
    });
    socket.send(JSON.stringify({ type: 'hello', num_connections: 1 }));
  });

  async function overHttp(kind: string, payload: object): Promise<Answer> {
    const isJson = kind === 'events_api';
    const body = isJson
      ? JSON.stringify(payload)
      : kind === 'slash_commands'
        ? new URLSearchParams(payload as Record<string, string>).toString() // a command's fields are texts
        : new URLSearchParams({ payload: JSON.stringify(payload) }).toString();
    const began = performance.now();
    const sent = await fetch(eventsUrl ?? '', {
      method: 'POST',
      headers: {
        'Content-Type': isJson ? 'application/json' : 'application/x-www-form-urlencoded',
        ...signed(body, Math.floor(Date.now() / 1000)),
      },
      body,
    });
    const text = await sent.text();
    return { isTaken: sent.ok, body: text === '' ? undefined : JSON.parse(text), ms: performance.now() - began };
  }

  async function overSocket(kind: string, payload: object): Promise<Answer> {
    const [socket] = sockets;
    if (!socket) throw new Error('no socket is open');
    const envelope_id = randomUUID();
    const began = performance.now();
    const { promise, resolve } = Promise.withResolvers<unknown>();
    waiting.set(envelope_id, resolve);
    const timer = setTimeout(() => resolve('nobody acknowledged'), 3_000);
    socket.send(JSON.stringify({ envelope_id, type: kind, payload, accepts_response_payload: kind !== 'events_api' }));
    const body = await promise;
    clearTimeout(timer);
    return { isTaken: body !== 'nobody acknowledged', body, ms: performance.now() - began };
  }

  return {
    deliver: (kind, payload) => (eventsUrl === undefined ? overSocket(kind, payload) : overHttp(kind, payload)),
    sendTo: (url) => {
      eventsUrl = url;
    },
    async connected() {
      if (sockets.size === 0) await new Promise((resolve) => hub.once('connection', resolve));
    },
    close() {
      for (const socket of sockets) socket.terminate();
      hub.close();
    },
  };
}

/** docs.slack.dev, verifying requests from Slack. */
export function signed(body: string, seconds: number, secret = SIGNING_SECRET): Record<string, string> {
  const mac = createHmac('sha256', secret).update(`v0:${seconds}:${body}`).digest('hex');
  return { 'X-Slack-Request-Timestamp': String(seconds), 'X-Slack-Signature': `v0=${mac}` };
}
