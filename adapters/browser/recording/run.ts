import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Recorded, type Recording, recordingSchema } from '../../../core/workflow/recording.ts';
import type { Chromium } from '../chromium.ts';

export interface RecordOptions {
  /** An absolute path. */
  readonly spec: string;
  /** Playwright's `baseURL`; absent when the spec has its own. */
  readonly base?: string;
  readonly chromium: Chromium;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The program's own variables, which are none of a spec's business. */
  readonly withheld: readonly string[];
}

const LARGEST_BYTES = 50_000_000;

/**
 * Runs one spec by Playwright's own runner, in a process of its own. What its tests did comes back over a connection on
 * this computer: it holds secrets, and never touches a disk.
 */
export async function recordSpec({ spec, base, chromium, env, withheld }: RecordOptions): Promise<Recorded> {
  const recordings: Recording[] = [];
  const sink = await openSink(recordings);
  const output = await mkdtemp(join(tmpdir(), 'countersign-recording-'));
  const inherited = Object.entries(env).filter(([name, value]) => value !== undefined && !withheld.includes(name));
  const sandbox = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  try {
    const ran = await runPlaywright(dirname(spec), {
      ...Object.fromEntries(inherited),
      NODE_OPTIONS: `--import=${new URL('hook.ts', import.meta.url).href}`,
      COUNTERSIGN_RECORDING_SINK: sink.url,
      COUNTERSIGN_RECORDING_SPEC: spec,
      COUNTERSIGN_RECORDING_OUTPUT: output,
      COUNTERSIGN_RECORDING_CHROMIUM: chromium.path,
      COUNTERSIGN_RECORDING_ARGUMENTS: JSON.stringify([...chromium.args, ...sandbox]),
      COUNTERSIGN_RECORDING_BASE: base ?? '',
    });
    return { recordings, ...ran };
  } finally {
    await rm(output, { recursive: true, force: true });
    sink.server.close();
    sink.server.closeAllConnections();
  }
}

async function openSink(recordings: Recording[]): Promise<{ server: Server; url: string }> {
  const path = `/${randomBytes(24).toString('base64url')}`;
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    let size = 0;
    request.on('data', (part: Buffer) => {
      size += part.length;
      if (size <= LARGEST_BYTES && request.url === path) parts.push(part);
    });
    request.on('end', () => {
      const read = recordingSchema.safeParse(parse(Buffer.concat(parts).toString('utf8')));
      if (read.success) recordings.push(read.data);
      response.writeHead(read.success ? 204 : 400).end();
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo; // a listening TCP server has an AddressInfo
  return { server, url: `http://127.0.0.1:${port}${path}` };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function runPlaywright(
  cwd: string,
  env: Readonly<Record<string, string>>,
): Promise<{ output: string; exitCode: number }> {
  const cli = join(dirname(createRequire(import.meta.url).resolve('playwright/package.json')), 'cli.js');
  const config = fileURLToPath(new URL('playwright.config.ts', import.meta.url));
  const child = spawn(process.execPath, [cli, 'test', '--config', config], {
    cwd,
    env: { ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const parts: Buffer[] = [];
  child.stdout.on('data', (part: Buffer) => parts.push(part));
  child.stderr.on('data', (part: Buffer) => parts.push(part));
  const exitCode = await new Promise<number>((done, fail) => {
    child.on('error', fail);
    child.on('close', (code) => done(code ?? 1));
  });
  return { output: Buffer.concat(parts).toString('utf8'), exitCode };
}
