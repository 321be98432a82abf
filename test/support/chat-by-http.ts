import { expect, vi } from 'vitest';
import { z } from 'zod';

/** Web chat as its page's script uses it, without a browser: what tests of words need, where no eye is needed. */
export interface ChatByHttp {
  post(path: string, as: string, body: Readonly<Record<string, unknown>>): Promise<Response>;
  /** @returns the thread's path. */
  say(as: string, text: string): Promise<string>;
  pageOf(path: string, as: string): Promise<string>;
  /** The newest button of that action on the person's page, as soon as there is one. */
  button(path: string, as: string, action: string): Promise<{ readonly address: string; readonly value: string }>;
  press(path: string, as: string, action: string): Promise<void>;
  /** The address of the form that is open for the person, as soon as one is. */
  form(path: string, as: string): Promise<string>;
}

const where = z.object({ url: z.string() });
const PATIENCE = { timeout: 15_000, interval: 100 };
const FORM = /action="(\/forms\/[\w-]+)"/;
const REST = '(?:(?!</form>).)*?';

/** `headers`: more of them for each post. */
export function chatByHttp(chatUrl: string, headers: () => Readonly<Record<string, string>> = () => ({})): ChatByHttp {
  const chat: ChatByHttp = {
    post: (path, as, body) =>
      fetch(new URL(path, chatUrl), {
        method: 'POST',
        redirect: 'manual',
        headers: { ...headers(), origin: new URL(chatUrl).origin, 'content-type': 'application/json' },
        body: JSON.stringify({ as, ...body }),
      }),
    say: async (as, text) => where.parse(await (await chat.post('/messages', as, { thread: 'new', text })).json()).url,
    pageOf: async (path, as) =>
      (await fetch(new URL(path, chatUrl), { headers: { cookie: `countersign_person=${as}` } })).text(),
    async button(path, as, action) {
      const pattern = new RegExp(
        `action="(/messages/[\\w-]+/actions)"[^>]*>${REST}name="action" value="${action}"${REST}name="value" value="([^"]*)"`,
        's',
      );
      const [, address = '', value = ''] = await vi.waitUntil(
        async () => pattern.exec(await chat.pageOf(path, as)) ?? false,
        PATIENCE,
      );
      return { address, value };
    },
    async press(path, as, action) {
      const { address, value } = await chat.button(path, as, action);
      expect((await chat.post(address, as, { action, value })).status).toBeLessThan(400);
    },
    form: async (path, as) =>
      (await vi.waitUntil(async () => FORM.exec(await chat.pageOf(path, as)) ?? false, PATIENCE))[1] ?? '',
  };
  return chat;
}
