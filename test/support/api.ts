import { apiRoutes } from '../../adapters/api/api.ts';
import { credentialValue } from '../../adapters/api/credential-value.ts';
import { createApiServer } from '../../adapters/api/server.ts';
import type { Log } from '../../core/ports/log.ts';
import type { Core } from './core.ts';
import { silentLog } from './silent-log.ts';

/** The API as the program serves it, on a free port of this computer. */
export interface TestApi {
  readonly origin: string;
  /** `GET …/credentials/:id/value` */
  value(id: string, token?: string, init?: RequestInit): Promise<Answer>;
  /** Any request below `/api/autonomous`. */
  ask(path: string, init?: RequestInit): Promise<Answer>;
  close(): Promise<void>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

export async function openApi(
  core: Pick<Core, 'apiTokens' | 'vault' | 'tokens'>,
  { log = silentLog, publicUrl = 'https://countersign.example.com' }: { log?: Log; publicUrl?: string } = {},
): Promise<TestApi> {
  const routes = [apiRoutes({ tokens: core.apiTokens, publicUrl: () => publicUrl, log }, [credentialValue(core)])];
  const server = createApiServer({ port: 0, isLocal: true, routes, log, isReady: async () => true });
  const origin = `http://127.0.0.1:${(await server.start()).port}`;
  const ask: TestApi['ask'] = async (path, init) => {
    const answer = await fetch(`${origin}/api/autonomous${path}`, init);
    return { status: answer.status, headers: answer.headers, text: await answer.text() };
  };
  return {
    origin,
    ask,
    value: (id, token, init) =>
      ask(`/credentials/${id}/value`, { ...init, headers: { ...bearer(token), ...init?.headers } }),
    close: () => server.stop(),
  };
}

export function bearer(token: string | undefined): Record<string, string> {
  return token === undefined ? {} : { authorization: `Bearer ${token}` };
}
