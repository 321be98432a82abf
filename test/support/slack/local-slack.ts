import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { freePort } from '../free-port.ts';

const BINARY = join(import.meta.dirname, '../../../node_modules/local-slack-linux-x64/bin/local-slack');

/** Made for Linux on x64 alone; elsewhere npm leaves it out, and the tests that need it say so. */
export const hasLocalSlack = process.platform === 'linux' && process.arch === 'x64' && existsSync(BINARY);

export const LOCAL = {
  team: 'T0LOCAL',
  bot: 'U0BOT',
  botToken: 'xoxb-local-slack',
  appToken: 'xapp-local-slack',
  signingSecret: 'the signing secret of local-slack',
  channel: 'C0SHOP',
} as const;

export const MEMBERS = [
  { id: 'U0MERCHANT', name: 'Merchant' },
  { id: 'U0APPROVER', name: 'Approver' },
  { id: 'U0OUTSIDER', name: 'Outsider' },
  { id: 'U0ADMIN', name: 'Admin' },
] as const;

const message = z.looseObject({
  ...{ ts: z.string(), user: z.string(), text: z.string() },
  thread_ts: z.string().optional(),
  ephemeral_to: z.string().optional(),
  blocks: z.array(z.looseObject({ type: z.string() })).default([]),
  files: z.array(z.looseObject({ id: z.string() })).optional(),
});
export type LocalMessage = z.infer<typeof message>;

/** A Slack of our own with a page for people, in a process of its own. */
export interface LocalSlack {
  readonly url: string;
  /** Every message of a channel, threads included, oldest first. */
  messages(channel?: string): Promise<readonly LocalMessage[]>;
  control(path: string, body: object): Promise<void>;
  stop(): Promise<void>;
}

/** @param requestUrl where it sends what happens; without one it waits for the app to open a socket. */
export async function startLocalSlack(requestUrl?: string): Promise<LocalSlack> {
  const folder = mkdtempSync(join(tmpdir(), 'local-slack-'));
  const port = await freePort();
  const config = {
    workspace: { name: 'Shops', domain: 'shops', teamId: LOCAL.team },
    app: {
      ...{ appId: 'A0LOCAL', botUserId: LOCAL.bot, botName: 'Countersign' },
      ...(requestUrl === undefined ? { mode: 'socket' } : { mode: 'events', requestUrl }),
      ...{ botToken: LOCAL.botToken, appToken: LOCAL.appToken, signingSecret: LOCAL.signingSecret },
    },
    users: MEMBERS.map(({ id, name }) => ({
      ...{ id, name, real_name: name, email: `${name.toLowerCase()}@example.com` },
    })),
    channels: [{ id: LOCAL.channel, name: 'shop-integrations', members: [...MEMBERS.map(({ id }) => id), LOCAL.bot] }],
  };
  const file = join(folder, 'config.json');
  writeFileSync(file, JSON.stringify(config));
  const args = ['--config', file, '--port', String(port), '--base-host', '127.0.0.1', '--files-dir', folder];
  const child = spawn(BINARY, args, { stdio: 'ignore' });
  const url = `http://127.0.0.1:${port}`;
  const stop = async () => {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    rmSync(folder, { recursive: true, force: true });
  };
  await answers(url, child).catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  return {
    url,
    async messages(channel = LOCAL.channel) {
      const response = await fetch(`${url}/_control/messages/${channel}`);
      return z.object({ messages: z.array(message) }).parse(await response.json()).messages;
    },
    async control(path, body) {
      const headers = { 'Content-Type': 'application/json' };
      const response = await fetch(`${url}/_control/${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
      if (!response.ok) throw new Error(`local-slack refused ${path}: ${await response.text()}`);
    },
    stop,
  };
}

async function answers(url: string, child: ChildProcess): Promise<void> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    if (child.exitCode !== null) throw new Error('local-slack ended by itself');
    const isUp = await fetch(`${url}/_control/state`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (isUp) return;
    if (Date.now() > deadline) throw new Error('local-slack did not start');
    await new Promise((resolve) => setTimeout(resolve, 50)); // it has no other way to say that it listens
  }
}
