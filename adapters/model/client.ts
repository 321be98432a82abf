import Anthropic from '@anthropic-ai/sdk';
import { ProxyAgent, fetch as send } from 'undici';
import type { Egress } from '../../core/ports/egress.ts';
import type { Log } from '../../core/ports/log.ts';
import type { Secret } from '../../core/secret.ts';

export interface AnthropicModelConfig {
  readonly apiKey: Secret;
  /** Default: the vendor's. */
  readonly baseUrl?: string;
  readonly model: string;
  /** Must let the base URL's host and port pass, also when it is a private one. */
  readonly egress: Egress;
  readonly log: Log;
}

const BASE_URL = 'https://api.anthropic.com';

/** The SDK behind a door of the egress proxy that is open for the service's address alone, and closed when `use` ends. */
export async function withClient<T>(config: AnthropicModelConfig, use: (client: Anthropic) => Promise<T>): Promise<T> {
  const baseURL = config.baseUrl ?? BASE_URL;
  const door = await config.egress.open([new URL(baseURL).origin]);
  // An explicit agent: those that read the environment would obey NO_PROXY and go past the door.
  const agent = new ProxyAgent({ uri: door.proxyUrl, proxyTunnel: true });
  try {
    return await use(
      new Anthropic({
        apiKey: config.apiKey.reveal(),
        baseURL,
        fetch: throughDoor(agent),
        // Retries are our own, for the SDK's know no deadline.
        maxRetries: 0,
        // Its own logger would print bodies.
        logLevel: 'off',
        openTelemetry: false,
      }),
    );
  } finally {
    await agent.destroy();
    await door.close();
  }
}

/** The SDK's way out. A redirect is an answer that is no message: followed, it would carry the question somewhere else. */
function throughDoor(dispatcher: ProxyAgent): typeof fetch {
  const through = (url: Parameters<typeof send>[0], init: Parameters<typeof send>[1] = {}) =>
    send(url, { ...init, dispatcher, redirect: 'manual' });
  // Node's own fetch is undici's, so both take and give the same objects; only their declarations are two.
  return through as unknown as typeof fetch;
}
