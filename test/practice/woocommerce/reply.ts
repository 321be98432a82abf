import type { Response } from 'express';
import type { Html } from './html.ts';

/** What a request is answered with. `hang-up` breaks the connection instead. */
export type Reply =
  | ({ readonly kind: 'page'; readonly page: Html } & Details)
  | ({ readonly kind: 'json'; readonly body: unknown } & Details)
  | ({ readonly kind: 'text'; readonly text: string } & Details)
  | { readonly kind: 'redirect'; readonly location: string }
  | { readonly kind: 'hang-up' };

interface Details {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
}

export function page(content: Html, status = 200): Reply {
  return { kind: 'page', page: content, status };
}

export function redirect(location: string): Reply {
  return { kind: 'redirect', location };
}

export function json(body: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): Reply {
  return { kind: 'json', body, status, headers };
}

export function text(content: string, status: number, headers: Readonly<Record<string, string>> = {}): Reply {
  return { kind: 'text', text: content, status, headers };
}

export function sendReply(response: Response, reply: Reply): void {
  switch (reply.kind) {
    case 'redirect':
      response.redirect(reply.location);
      break;
    case 'hang-up':
      response.destroy();
      break;
    case 'page':
      start(response, reply).type('html').send(reply.page.markup);
      break;
    case 'text':
      start(response, reply).type('html').send(reply.text);
      break;
    case 'json':
      start(response, reply).json(reply.body);
      break;
    default:
      reply satisfies never;
  }
}

function start(response: Response, details: Details): Response {
  return response.status(details.status).set(details.headers ?? {});
}
