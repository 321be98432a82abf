import { type Logger, LogLevel } from '@slack/bolt';
import type { Log } from '../../core/ports/log.ts';

/** The vendor's log lines as ours: what it warns of, and nothing below, which holds requests and their answers. */
export function slackLogger(log: Log): Logger {
  const words = (parts: readonly unknown[]) => parts.map(String).join(' ').slice(0, 500);
  return {
    debug() {},
    info() {},
    warn: (...parts) => log.warn({ said: words(parts) }, 'slack'),
    error: (...parts) => log.error({ said: words(parts) }, 'slack'),
    setLevel() {},
    getLevel: () => LogLevel.WARN,
    setName() {},
  };
}
