import type { Card, Person, Span } from '../../core/ports/chat.ts';
import type { Service } from '../../core/services/service.ts';

/** The words that cards are made of. */
export const text = (words: string): Span => ({ kind: 'text', text: words });
export const bold = (words: string): Span => ({ kind: 'bold', text: words });
export const code = (words: string): Span => ({ kind: 'code', text: words });
export const clock = (at: Date): Span => ({ kind: 'time', at, form: 'time' });
/** Of what is not today's. */
export const daytime = (at: Date): Span => ({ kind: 'time', at, form: 'datetime' });
export const person = (who: Person): Span => ({ kind: 'person', person: who });

/** A message of one paragraph. */
export function note(words: string, tone: 'plain' | 'quiet' | 'warning' = 'plain'): Card {
  return { summary: words, blocks: [{ kind: 'text', text: [text(words)], tone }] };
}

/** `9f2c…a41e` */
export function shortHash(hash: string): string {
  return `${hash.slice(0, 4)}…${hash.slice(-4)}`;
}

/** `<0.1 s`, `0.2 s`, `14 s`, `2 min 5 s` */
export function seconds(ms: number): string {
  if (ms < 100) return '<0.1 s';
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  const whole = Math.round(ms / 1000);
  return whole < 120 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/** `Ana`, `Ana or Ben`, `Ana, Ben or Cem` */
export function names(people: readonly { readonly person: Person }[]): string {
  return oneOf(people.map((member) => member.person.name));
}

/** The same of any words. */
export function oneOf(all: readonly string[]): string {
  return all.length <= 1 ? (all[0] ?? 'nobody') : `${all.slice(0, -1).join(', ')} or ${all.at(-1)}`;
}

/** `Ana`, `Ana and Ben`, `Ana, Ben and Cem` */
export function allOf(all: readonly string[]): string {
  return all.length <= 1 ? (all[0] ?? 'nothing') : `${all.slice(0, -1).join(', ')} and ${all.at(-1)}`;
}

/** The shop as people know it: `shop.example.com`, `localhost:4001/shop`. */
export function place(base: string): string {
  const url = new URL(base);
  return url.host + url.pathname.replace(/\/$/, '');
}

/** What people call the place where the key is made: `the shop`, `Stripe`. */
export function sideOf({ side = 'the shop' }: Pick<Service, 'side'>): string {
  return side;
}

/** At the beginning of a sentence. */
export function capital(words: string): string {
  return words.slice(0, 1).toUpperCase() + words.slice(1);
}
