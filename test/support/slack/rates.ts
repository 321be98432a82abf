/**
 * How often Slack takes a method (docs.slack.dev, rate limits), written down a second time and counted as a window that moves:
 * of any 60 s together no more than the tier. Messages are one a second for each channel, with room for a few at once.
 */
const A_MINUTE: Readonly<Record<string, number>> = {
  'chat.update': 50,
  'agents.sessions.setStatus': 50,
  'conversations.open': 50,
  'usergroups.users.list': 20,
  'chat.postEphemeral': 100,
  'files.getUploadURLExternal': 100,
  'files.completeUploadExternal': 100,
  'users.info': 100,
  'views.open': 100,
  'views.publish': 100,
};
const MESSAGES_AT_ONCE = 3;
const MINUTE_MS = 60_000;

export interface Rates {
  /** Counts a call, of each workspace by itself. @returns the seconds to stay silent when it is one too many. */
  refuse(method: string, channel: string, workspace?: string): number | undefined;
  /** How many calls were one too many. */
  readonly refused: number;
  /** The most of a method within any minute. */
  most(method: string): number;
}

export function createRates(): Rates {
  const taken = new Map<string, number[]>();
  const most = new Map<string, number>();
  let refused = 0;
  const windowOf = (name: string, lengthMs: number): number[] => {
    const recent = (taken.get(name) ?? []).filter((at) => at > performance.now() - lengthMs);
    taken.set(name, recent);
    return recent;
  };
  return {
    refuse(method, channel, workspace = '') {
      const isMessage = method === 'chat.postMessage';
      const limit = isMessage ? MESSAGES_AT_ONCE : A_MINUTE[method];
      if (limit === undefined) return undefined;
      const lengthMs = isMessage ? MESSAGES_AT_ONCE * 1_000 - 250 : MINUTE_MS; // 250 ms: what a busy machine takes to send
      const recent = windowOf([method, workspace, isMessage ? channel : ''].join(' '), lengthMs);
      if (recent.length >= limit) {
        refused++;
        return Math.max(1, Math.ceil(((recent[0] ?? 0) + lengthMs - performance.now()) / 1_000));
      }
      recent.push(performance.now());
      most.set(method, Math.max(most.get(method) ?? 0, recent.length));
      return undefined;
    },
    get refused() {
      return refused;
    },
    most: (method) => most.get(method) ?? 0,
  };
}
