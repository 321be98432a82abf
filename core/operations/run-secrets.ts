import type { Json } from '../canonical.ts';
import { isUnmistakable } from '../redacted-ports.ts';
import { redact, redactShown } from '../redaction.ts';
import type { Secret } from '../secret.ts';

/** What one run has opened and found: no word of the run may hold it, whatever the site echoes. */
export interface RunSecrets {
  /**
   * What people were shown before, such as the plan: a secret that stands in it, a password like `shop`, is not looked for
   * in words, since a gap in a sentence that everybody knows would give it away.
   */
  showed(words: string): void;
  /**
   * From now on hidden: in the log until `release`, in this run's pictures and, unless it is `public` like a user name, in
   * its words.
   */
  learn(secret: Secret, kind: 'secret' | 'public'): void;
  /** All of them, for pictures to hide. */
  all(): readonly Secret[];
  /** The words without what the run knows and without what looks like a secret. Words that can't be checked are dropped whole. */
  hide(words: string): string;
  /**
   * The same for what a page says and the engine compares, such as the name of a button: only what can be nothing else is
   * taken out, so that a password like `settings` lets no known page look like another one.
   */
  hideOnPage(words: string): string;
  /** The same for every text in what goes on record. */
  hideIn<T extends Json>(value: T): T;
  /** To be called once the run has ended and everything about it was logged. */
  release(): void;
}

const UNCHECKED = '[words that could not be checked for secrets]';

/** `registry` is the log's. */
export function createRunSecrets(registry: { add(secret: Secret): void; remove(secret: Secret): void }): RunSecrets {
  const learned = new Map<Secret, 'secret' | 'public'>();
  let shown = '';
  const hidden = () =>
    [...learned].flatMap(([secret, kind]) =>
      kind === 'secret' && !shown.includes(secret.reveal().toLowerCase()) ? [secret] : [],
    );
  const checked = (take: () => string): string => {
    try {
      return take();
    } catch {
      return UNCHECKED;
    }
  };
  const hide = (words: string) => checked(() => redact(words, hidden()));
  return {
    showed(words) {
      shown = words.toLowerCase();
    },
    learn(secret, kind) {
      learned.set(secret, kind);
      registry.add(secret);
    },
    all: () => [...learned.keys()],
    hide,
    hideOnPage: (words) => checked(() => redactShown(words, hidden().filter(isUnmistakable))),
    // The same shape with other texts: what hideInside keeps.
    hideIn: <T extends Json>(value: T) => hideInside(value, hide) as T,
    release() {
      for (const secret of learned.keys()) registry.remove(secret);
    },
  };
}

function hideInside(value: Json, hide: (words: string) => string): Json {
  if (typeof value === 'string') return hide(value);
  if (Array.isArray(value)) return value.map((item) => hideInside(item, hide));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, hideInside(inner, hide)]));
}
