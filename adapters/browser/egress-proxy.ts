import {
  Agent,
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { type AddressInfo, isIP, type LookupFunction, connect as netConnect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { CountersignError } from '../../core/errors.ts';
import type { Egress, EgressDoor, EgressReason, EgressRefusal } from '../../core/ports/egress.ts';
import type { Origin } from '../../core/ports/http.ts';
import type { Log } from '../../core/ports/log.ts';
import { type Authority, parseAuthority, parseOrigin, writeAuthority } from './authority.ts';
import { createTargetCheck, type Lookup, type TargetVerdict } from './target-check.ts';

export interface EgressOptions {
  /** `host:port` of targets that may be reached although their address is private. */
  readonly privateTargets: readonly string[];
  readonly log: Log;
  /** Name look-up; the system's unless a test owns it. */
  readonly lookup?: Lookup;
}

const KEPT_REFUSALS = 200;
const CONNECT_LIMIT_MS = 10_000;
// RFC 9110 section 7.6.1: meant for this hop, so they end here. `transfer-encoding` stays on requests: it frames the body.
const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'te', 'trailer', 'upgrade']);

/**
 * The forward proxy. Each door is a loopback port of its own with its own list of (host, port); a name is resolved once
 * a connection, every address of the answer is checked, and one of the checked addresses is connected to.
 */
export function createEgress(options: EgressOptions): Egress {
  const ownPorts = new Set<number>();
  const check = createTargetCheck(options.privateTargets, ownPorts, options.lookup);
  return {
    open: (origins) => openDoor(origins, { check, ownPorts, log: options.log }),
    async check(origin) {
      const target = parseOrigin(origin);
      if (!target) return { isAllowed: false, reason: 'malformed' };
      const verdict = await check(target);
      return verdict.isAllowed ? { isAllowed: true } : verdict;
    },
  };
}

interface DoorParts {
  readonly check: (target: Authority) => Promise<TargetVerdict>;
  readonly ownPorts: Set<number>;
  readonly log: Log;
}

/** What a door knows; its functions below are the two ways through it. */
interface Door {
  admit(target: Authority | undefined): Promise<Admission>;
  readonly agent: Agent;
  /** Destroyed when the door closes. */
  readonly upstreams: Set<Duplex>;
}

type Admission = { readonly target: Authority; readonly addresses: readonly string[] } | undefined;

async function openDoor(origins: readonly Origin[], { check, ownPorts, log }: DoorParts): Promise<EgressDoor> {
  const allowed = new Set(origins.map(readOrigin));
  const refused: EgressRefusal[] = [];
  let isOpen = true;
  function refuse(authority: string, reason: EgressReason): undefined {
    refused.push({ at: new Date(), authority, reason });
    if (refused.length > KEPT_REFUSALS) refused.shift();
    log.debug({ reason }, 'egress refused');
  }
  const door: Door = {
    agent: new Agent({ keepAlive: true }),
    upstreams: new Set(),
    async admit(target) {
      if (!target) return refuse('(unreadable)', 'malformed');
      const authority = writeAuthority(target);
      if (!allowed.has(authority)) return refuse(authority, 'not_listed');
      const verdict = await check(target);
      if (!verdict.isAllowed) return refuse(authority, verdict.reason);
      return isOpen ? { target, addresses: verdict.addresses } : undefined;
    },
  };
  const { server, clients } = await listen(door);
  const { port } = server.address() as AddressInfo; // a listening TCP server has an AddressInfo
  ownPorts.add(port);
  return {
    proxyUrl: `http://127.0.0.1:${port}`,
    refusals: () => [...refused],
    async close() {
      if (!isOpen) return;
      isOpen = false;
      ownPorts.delete(port);
      door.agent.destroy();
      for (const socket of [...clients, ...door.upstreams]) socket.destroy();
      await new Promise<void>((done) => server.close(() => done()));
    },
  };
}

function readOrigin(origin: Origin): string {
  const target = parseOrigin(origin);
  if (!target) throw new CountersignError('egress_refused', 'Only an http or https origin can be allowed.');
  return writeAuthority(target);
}

async function listen(door: Door): Promise<{ server: Server; clients: Set<Duplex> }> {
  const server = createServer();
  const clients = new Set<Duplex>();
  server.on('connection', (socket) => track(clients, socket));
  server.on('request', (request, response) => void forward(door, request, response));
  server.on('connect', (request, socket, head) => void tunnel(door, request, socket, head));
  // Browsers send WebSockets through CONNECT; an upgrade of the proxy connection itself has no honest use.
  server.on('upgrade', (_request, socket) => {
    socket.on('error', () => socket.destroy());
    void door.admit(undefined).then(() => answer(socket, '403 Forbidden'));
  });
  server.on('clientError', (_error, socket) => socket.destroy());
  await new Promise<void>((done, fail) => {
    server.once('error', fail);
    server.listen(0, '127.0.0.1', done);
  });
  return { server, clients };
}

async function tunnel(door: Door, request: IncomingMessage, client: Duplex, head: Buffer): Promise<void> {
  client.on('error', () => client.destroy());
  const admission = await door.admit(parseAuthority(request.url ?? ''));
  if (!admission) return answer(client, '403 Forbidden');
  if (client.destroyed) return;
  const upstream = netConnect({
    host: admission.target.host,
    port: admission.target.port,
    ...pinned(admission.addresses),
  });
  track(door.upstreams, upstream);
  limitConnecting(upstream);
  let isConnected = false;
  upstream.once('connect', () => {
    isConnected = true;
    client.write('HTTP/1.1 200 Connection established\r\n\r\n');
    upstream.write(head);
    client.pipe(upstream).pipe(client);
  });
  upstream.on('error', () => upstream.destroy());
  upstream.on('close', () => (isConnected ? client.destroy() : answer(client, '502 Bad Gateway')));
  client.on('close', () => upstream.destroy());
}

/** Plain http: an absolute request line, sent on with the same method, path, headers and body. */
async function forward(door: Door, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = plainUrl(request);
  const admission = await door.admit(url && parseAuthority(url.host));
  if (!admission || !url) return void response.writeHead(403).end();
  if (response.destroyed) return;
  const upstream = httpRequest({
    agent: door.agent,
    host: admission.target.host,
    port: admission.target.port,
    ...pinned(admission.addresses),
    method: request.method,
    path: `${url.pathname}${url.search}`,
    headers: endToEnd(request.rawHeaders),
  });
  upstream.on('socket', (socket) => {
    track(door.upstreams, socket);
    limitConnecting(socket);
  });
  upstream.on('response', (found) => {
    response.writeHead(found.statusCode ?? 502, found.statusMessage, endToEnd(found.rawHeaders, 'transfer-encoding'));
    found.on('error', () => response.destroy());
    found.pipe(response);
  });
  upstream.on('error', () => (response.headersSent ? response.destroy() : response.writeHead(502).end()));
  response.on('close', () => upstream.destroy());
  request.pipe(upstream);
}

/** The URL of a plain request; `undefined` when it isn't absolute http, or when Host says another authority. */
function plainUrl(request: IncomingMessage): URL | undefined {
  const url = URL.parse(request.url ?? '');
  if (url?.protocol !== 'http:' || url.username !== '' || url.password !== '') return undefined;
  const host = parseAuthority(request.headers.host ?? '');
  const target = parseAuthority(url.host);
  return host && target && writeAuthority(host) === writeAuthority(target) ? url : undefined;
}

function endToEnd(rawHeaders: readonly string[], ...also: readonly string[]): string[] {
  const dropped = new Set([...HOP_BY_HOP, ...also]);
  const pairs = Array.from(
    { length: rawHeaders.length / 2 },
    (_, i) => [rawHeaders[2 * i] ?? '', rawHeaders[2 * i + 1] ?? ''] as const,
  );
  for (const [name, value] of pairs) {
    if (name.toLowerCase() === 'connection')
      for (const named of value.split(',')) dropped.add(named.trim().toLowerCase());
  }
  return pairs.filter(([name]) => !dropped.has(name.toLowerCase()) && !/^proxy-/i.test(name)).flat();
}

/** Makes a connection use the checked addresses, one after the other, instead of looking the name up again. */
function pinned(addresses: readonly string[]): {
  lookup: LookupFunction;
  autoSelectFamily: true;
  autoSelectFamilyAttemptTimeout: number;
} {
  const found = addresses.map((address) => ({ address, family: isIP(address) }));
  const lookup: LookupFunction = (_host, options, callback) => {
    if (options.all) callback(null, found);
    else callback(null, found[0]?.address ?? '', found[0]?.family);
  };
  return { lookup, autoSelectFamily: true, autoSelectFamilyAttemptTimeout: 2_000 };
}

function limitConnecting(socket: Socket): void {
  if (!socket.connecting) return;
  const timer = setTimeout(() => socket.destroy(), CONNECT_LIMIT_MS);
  socket.once('connect', () => clearTimeout(timer));
  socket.once('close', () => clearTimeout(timer));
}

function track(set: Set<Duplex>, socket: Duplex): void {
  if (set.has(socket)) return;
  set.add(socket);
  socket.once('close', () => set.delete(socket));
}

function answer(client: Duplex, status: string): void {
  if (!client.destroyed) client.end(`HTTP/1.1 ${status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
}
