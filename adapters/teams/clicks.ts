import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import type { Card, ChatEvent, ChatReply, Form, Person, ThreadRef } from '../../core/ports/chat.ts';
import type { Log } from '../../core/ports/log.ts';
import type { Incoming } from './activity.ts';
import type { AdaptiveCard } from './elements.ts';
import { type Channel, type FieldErrors, readCarried, readFields, renderForm } from './forms.ts';
import type { People } from './people.ts';
import type { Answer, Replies } from './replies.ts';
import { type Place, placeOf, readTrigger } from './thread.ts';

export type Invoke = Extract<Incoming, { kind: 'invoke' }>;

/** What is pressed in cards, and the forms that take their place. */
export interface Clicks {
  /**
   * Answered with what it led to, within 3 s and never with nothing; sent again within a short time it is the same click.
   * @param cameAt by this process's own clock, in ms
   */
  press(incoming: Invoke, place: Place, cameAt: number): Promise<Answer>;
  /** A form in place of the card that was pressed; where no click waits any more, in the chat with that person. */
  openForm(trigger: string, form: Form): Promise<void>;
}

export interface ClicksDeps {
  readonly log: Log;
  readonly people: People;
  readonly replies: Replies;
  hand(event: ChatEvent): Promise<ChatReply>;
  /** The card that stands there, as that person should see it now. */
  asIs(place: Place, activityId: string | undefined, viewer: string): Promise<AdaptiveCard | undefined>;
  render(card: Card): AdaptiveCard;
  /** How a thread is named in what a form brings back. */
  written(thread: ThreadRef): string;
  nameOf(place: Place, activityId: string): string;
  /** A form by itself, for one person. */
  sendForm(place: Place, userId: string, card: AdaptiveCard, title: string): Promise<void>;
  channels(workspaceId: string): Promise<readonly Channel[]>;
}

/** A click is answered with what it led to within this time, else with the card as it is: Teams waits 10 s and people don't. */
const QUIET_MS = 1_500;
/** Whatever happens meanwhile. */
const LONGEST_MS = 2_500;
/** A click that Teams or an impatient person repeats within this time is the same click. */
const SAME_MS = 10_000;
const FORMS = 500;

const TAKEN = 'Taken. The card changes as soon as it is done.';
const LATE = 'I am at it: the card changes as soon as it is done.';
const FAILED = 'I could not take that just now, and nothing was changed. Please press it again.';
export const CLOSED: Card = { summary: 'This form is closed.', blocks: [] };

export function createClicks(deps: ClicksDeps): Clicks {
  const { log, people, replies, hand, asIs, render, nameOf, written } = deps;
  const recent = new Map<string, { readonly answer: Promise<Answer>; readonly until: number }>();
  /** By id: forms that are open, to be shown again with words at their fields. */
  const forms = new Map<string, Form>();

  async function pressed(incoming: Invoke, place: Place, cameAt: number): Promise<Answer> {
    const { event, activityId, triggerId, from } = incoming;
    const asShown = async (otherwise: Answer): Promise<Answer> => {
      const card = await asIs(place, activityId, from.userId);
      return card ? { kind: 'card', card } : otherwise;
    };
    const until = (ms: number) => Math.max(0, cameAt + ms - performance.now());
    const late = wait(until(LONGEST_MS), { kind: 'words', words: LATE } satisfies Answer, { ref: false });
    if (!event) return Promise.race([asShown({ kind: 'card', card: render(CLOSED) }), late]);
    const name = activityId === undefined ? undefined : nameOf(place, activityId);
    const { answer, end } = replies.begin({
      ...{ triggerId, userId: from.userId, thread: event.thread.ref, card: name, isForm: event.kind === 'form' },
    });
    const done = hand(event).then(
      async (reply): Promise<Answer> => {
        if (event.kind !== 'form') {
          await wait(until(QUIET_MS), undefined, { ref: false });
          return asShown({ kind: 'words', words: TAKEN });
        }
        if (reply && 'fieldErrors' in reply) return againWith(incoming, place, reply.fieldErrors);
        return asShown({ kind: 'card', card: render({ summary: 'Done.', blocks: [] }) });
      },
      (error: unknown): Answer => {
        log.error({ err: error }, 'teams: a click was not taken');
        return { kind: 'words', words: FAILED };
      },
    );
    try {
      // What a form changes is said by its own answer; a click's may be a form, words, or the card as it is then.
      return await Promise.race(event.kind === 'form' ? [done, late] : [answer, done, late]);
    } finally {
      end();
    }
  }

  /** The form once more, as it was filled in, with words at its fields. */
  async function againWith({ data, from, event }: Invoke, place: Place, errors: FieldErrors): Promise<Answer> {
    const carried = readCarried(data);
    const form = carried && forms.get(carried.id);
    // Another process opened it: then it stays as it is, and what is wrong is said beside it.
    if (!carried || !form) return { kind: 'words', words: Object.values(errors).join(' ') };
    const thread = carried.thread === undefined || !event ? {} : { thread: event.thread, written };
    const view = { ...(await listed(form, place, from)), ...thread, fields: readFields(carried, data), errors };
    return { kind: 'card', card: renderForm(carried.id, form, view) };
  }

  /** Whom a form lets choose, and which channels: who and what is there, and whatever was chosen before. */
  async function listed(form: Form, place: Place, from: Person | undefined) {
    const { workspaceId } = place;
    const hasChannels = form.fields.some(({ kind }) => kind === 'channels');
    const channels = hasChannels ? await deps.channels(workspaceId) : [];
    const field = form.fields.find(({ kind }) => kind === 'people');
    if (field?.kind !== 'people') return { people: [], hasMorePeople: false, channels };
    const { people: found, hasMore } = await people
      .roster(place)
      .catch(() => ({ people: from ? [from] : [], hasMore: true }));
    const missing = field.initial.filter((id) => found.every(({ userId }) => userId !== id));
    const others = await Promise.all(
      missing.map((id) => people.person(workspaceId, id).catch(() => personNamed(workspaceId, id))),
    );
    return { people: [...found, ...others], hasMorePeople: hasMore, channels };
  }

  return {
    press(incoming, place, cameAt) {
      const now = performance.now();
      for (const [name, { until }] of recent) {
        if (until > now) break; // in the order in which they came
        recent.delete(name);
      }
      const known = recent.get(incoming.sameness);
      if (known) return known.answer;
      const answer = pressed(incoming, place, cameAt);
      recent.set(incoming.sameness, { answer, until: now + SAME_MS });
      answer.then(({ kind }) => kind === 'words' && recent.delete(incoming.sameness)).catch(() => {});
      return answer;
    },
    async openForm(trigger, form) {
      const { thread, userId, id: triggerId } = readTrigger(trigger);
      const place = placeOf(thread);
      const id = randomUUID();
      if (forms.size >= FORMS) forms.clear();
      forms.set(id, form);
      const card = renderForm(id, form, { ...(await listed(form, place, undefined)), thread, written });
      if (replies.form(triggerId, card)) return;
      // Typed, or pressed so long ago that Teams waits no more: it comes as a message of its own, to that person alone.
      await deps.sendForm(place, userId, card, form.title);
    },
  };
}

/** Whoever Teams says no name of. */
export function personNamed(workspaceId: string, userId: string): Person {
  return { platform: 'teams', workspaceId, userId, name: userId };
}
