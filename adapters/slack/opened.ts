import type { ChatEvent } from '../../core/ports/chat.ts';

/** As long as Slack takes answers at a click's address (docs.slack.dev, handling user interaction). */
const KEPT_MS = 30 * 60_000;
const KEPT = 1_000;

/**
 * Which message a form was opened from, by its own address: no part of the form itself, which its reader could read it from
 * and answer there in our name. Another process doesn't know it; what was saved is then said beside that message.
 */
export interface Opened {
  /** A button was pressed, whose trigger may open a form. */
  pressed(event: ChatEvent): void;
  opened(trigger: string, viewId: string): void;
  /** The event with the message that its form was opened from. */
  sent(event: ChatEvent, viewId: string): ChatEvent;
}

export function createOpened(): Opened {
  /** By trigger, and then by view, in the order in which they came. */
  const addresses = new Map<string, { readonly shown: string; readonly until: number }>();
  const keep = (name: string, shown: string) => {
    const now = performance.now();
    for (const [old, { until }] of addresses) {
      if (until > now && addresses.size < KEPT) break;
      addresses.delete(old);
    }
    addresses.set(name, { shown, until: now + KEPT_MS });
  };
  const find = (name: string) => {
    const found = addresses.get(name);
    return found && found.until > performance.now() ? found.shown : undefined;
  };
  return {
    pressed(event) {
      if (event.kind === 'action' && event.shown !== undefined) keep(event.trigger, event.shown);
    },
    opened(trigger, viewId) {
      const shown = find(trigger);
      if (shown !== undefined) keep(viewId, shown);
    },
    sent(event, viewId) {
      const shown = find(viewId);
      return event.kind === 'form' && shown !== undefined ? { ...event, shown } : event;
    },
  };
}
