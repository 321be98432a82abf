import { randomBytes } from 'node:crypto';
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
import type { Egress, EgressReason, EgressRefusal } from '../../core/ports/egress.ts';
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
  const parts = partsOf(options);
  return {
    check: checkOf(parts),
    async open(origins) {
      const made = makeDoor(origins, parts);
      const server = serverFor(() => made.door);
      const port = await listen(server, '127.0.0.1');
      parts.ownPorts.add(port);
      return {
        proxyUrl: `http://127.0.0.1:${port}`,
        refusals: made.refusals,
        async close() {
          if (!made.shut()) return;
          parts.ownPorts.delete(port);
          server.closeAllConnections();
          await new Promise<void>((done) => server.close(() => done()));
        },
      };
    },
  };
}

export interface NetworkEgressOptions extends EgressOptions {
  /** Where browsers on other machines reach this proxy: `http://host:port`. It listens on that port. */
  readonly url: string;
}

/** The same proxy on one port of the network: its doors are told apart by a name and a password, made for each. */
export interface NetworkEgress extends Egress {
  readonly url: string;
  /** Paths that were asked of the proxy itself, as by a browser that doesn't go through it. The last 200. */
  passedBy(): readonly string[];
  close(): Promise<void>;
}

const KEPT_PATHS = 200;
const SIGN_IN = { 'proxy-authenticate': 'Basic realm="countersign"' } as const;

/** @throws CountersignError `config_invalid` when it can't listen there. */
export async function openNetworkEgress(options: NetworkEgressOptions): Promise<NetworkEgress> {
  const parts = partsOf(options);
  const doors = new Map<string, MadeDoor>();
  const paths: string[] = [];
  const server = serverFor(
    (request) => doors.get(request.headers['proxy-authorization'] ?? '')?.door,
    (request) => {
      if (!request.url?.startsWith('/')) return;
      paths.push(request.url);
      if (paths.length > KEPT_PATHS) paths.shift();
    },
  );
  const { hostname, port: written } = new URL(options.url);
  const isLocal = /^(localhost|127\.|\[::1\])/.test(hostname);
  const port = await listen(server, isLocal ? '127.0.0.1' : undefined, written === '' ? 80 : Number(written)).catch(
    (cause: unknown) => {
      const sentence = 'EGRESS_PROXY_URL: its port can’t be listened on here; the cause says why.';
      throw new CountersignError('config_invalid', sentence, { cause });
    },
  );
  parts.ownPorts.add(port);
  const url = `http://${hostname}:${port}`;
  return {
    url,
    passedBy: () => [...paths],
    check: checkOf(parts),
    async open(origins) {
      const made = makeDoor(origins, parts);
      const credentials = { username: 'operation', password: randomBytes(32).toString('base64url') };
      const { username, password } = credentials;
      const key = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
      doors.set(key, made);
      return {
        ...{ proxyUrl: url, credentials, refusals: made.refusals },
        async close() {
          doors.delete(key);
          made.shut();
        },
      };
    },
    async close() {
      for (const made of doors.values()) made.shut();
      server.closeAllConnections();
      await new Promise<void>((done) => server.close(() => done()));
    },
  };
}

function partsOf({ privateTargets, log, lookup }: EgressOptions): DoorParts {
  const ownPorts = new Set<number>();
  return { check: createTargetCheck(privateTargets, ownPorts, lookup), ownPorts, log };
}

function checkOf({ check }: DoorParts): Egress['check'] {
  return async (origin) => {
    const target = parseOrigin(origin);
    if (!target) return { isAllowed: false, reason: 'malformed' };
    const verdict = await check(target);
    return verdict.isAllowed ? { isAllowed: true } : verdict;
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
  /** Both ends of what goes through it; destroyed when the door closes. */
  readonly sockets: Set<Duplex>;
}

interface MadeDoor {
  readonly door: Door;
  refusals(): readonly EgressRefusal[];
  /** @returns false when it was shut already. */
  shut(): boolean;
}

type Admission = { readonly target: Authority; readonly addresses: readonly string[] } | undefined;

function makeDoor(origins: readonly Origin[], { check, log }: DoorParts): MadeDoor {
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
    sockets: new Set(),
    async admit(target) {
      if (!target) return refuse('(unreadable)', 'malformed');
      const authority = writeAuthority(target);
      if (!allowed.has(authority)) return refuse(authority, 'not_listed');
      const verdict = await check(target);
      if (!verdict.isAllowed) return refuse(authority, verdict.reason);
      return isOpen ? { target, addresses: verdict.addresses } : undefined;
    },
  };
  return {
    door,
    refusals: () => [...refused],
    shut() {
      if (!isOpen) return false;
      isOpen = false;
      door.agent.destroy();
      for (const socket of door.sockets) socket.destroy();
      return true;
    },
  };
}

function readOrigin(origin: Origin): string {
  const target = parseOrigin(origin);
  if (!target) throw new CountersignError('egress_refused', 'Only an http or https origin can be allowed.');
  return writeAuthority(target);
}

/** @param onRequest told of whatever is asked, also of the proxy itself. */
function serverFor(
  doorOf: (request: IncomingMessage) => Door | undefined,
  onRequest: (request: IncomingMessage) => void = () => undefined,
): Server {
  const server = createServer();
  const entered = (request: IncomingMessage, client: Duplex): Door | undefined => {
    onRequest(request);
    const door = doorOf(request);
    if (door) track(door.sockets, client);
    return door;
  };
  server.on('request', (request, response) => {
    const door = entered(request, request.socket);
    return door ? void forward(door, request, response) : void response.writeHead(407, SIGN_IN).end();
  });
  server.on('connect', (request, socket, head) => {
    socket.on('error', () => socket.destroy());
    const door = entered(request, socket);
    return door
      ? void tunnel(door, request, socket, head)
      : answer(socket, '407 Proxy Authentication Required', SIGN_IN);
  });
  // Browsers send WebSockets through CONNECT; an upgrade of the proxy connection itself has no honest use.
  server.on('upgrade', (request, socket) => {
    socket.on('error', () => socket.destroy());
    const door = entered(request, socket);
    void door?.admit(undefined);
    answer(socket, '403 Forbidden');
  });
  server.on('clientError', (_error, socket) => socket.destroy());
  return server;
}

/** @returns the port. */
async function listen(server: Server, host: string | undefined, port = 0): Promise<number> {
  await new Promise<void>((done, fail) => {
    server.once('error', fail);
    server.listen(port, host, done);
  });
  return (server.address() as AddressInfo).port; // a listening TCP server has an AddressInfo
}

async function tunnel(door: Door, request: IncomingMessage, client: Duplex, head: Buffer): Promise<void> {
  const admission = await door.admit(parseAuthority(request.url ?? ''));
  if (!admission) return answer(client, '403 Forbidden');
  if (client.destroyed) return;
  const upstream = netConnect({
    host: admission.target.host,
    port: admission.target.port,
    ...pinned(admission.addresses),
  });
  track(door.sockets, upstream);
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
    track(door.sockets, socket);
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

function answer(client: Duplex, status: string, headers: Readonly<Record<string, string>> = {}): void {
  const more = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  if (!client.destroyed)
    client.end(`HTTP/1.1 ${status}\r\n${more.join('')}Content-Length: 0\r\nConnection: close\r\n\r\n`);
}
