import type { ConnectionState } from '../../core/connections/verdict.ts';
import { type Html, html } from '../../core/markup.ts';
import { isEnd, type OperationState } from '../../core/operations/states.ts';
import type { Service } from '../../core/services/service.ts';

const STATE_WORDS: { readonly [State in OperationState]: string } = {
  pending: 'new',
  awaiting_consent: 'waiting for approval',
  awaiting_credentials: 'waiting for the sign-in',
  queued: 'queued',
  in_progress: 'running',
  waiting_for_human: 'waiting for a person',
  paused: 'paused',
  completed: 'completed',
  denied: 'denied',
  expired: 'expired',
  cancelled: 'stopped',
  failed: 'failed',
};

export function stateWords(state: OperationState): string {
  return STATE_WORDS[state];
}

/** A state as a small coloured word. */
export function badge(state: OperationState): Html {
  return html`<span class="badge ${toneOf(state)}">${STATE_WORDS[state]}</span>`;
}

function toneOf(state: OperationState): string {
  if (state === 'completed') return 'good';
  if (state === 'failed' || state === 'denied') return 'bad';
  if (isEnd(state)) return 'still';
  return state === 'in_progress' || state === 'queued' ? 'live' : 'waits';
}

const HEALTH_TONES: { readonly [State in ConnectionState | 'new']: string } = {
  healthy: 'good',
  degraded: 'waits',
  broken: 'bad',
  expired: 'bad',
  unknown: 'still',
  new: 'still',
};

/** How a stored key fares, as a small coloured word. */
export function healthBadge(state: ConnectionState | 'new'): Html {
  return html`<span class="badge ${HEALTH_TONES[state]}">${state}</span>`;
}

/** `<0.1 s`, `0.2 s`, `14.2 s`, `2 min 5 s`, `3 h 12 min` */
export function duration(ms: number): string {
  if (ms < 100) return '<0.1 s';
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

/** `1,120` */
export function number(value: number): string {
  return value.toLocaleString('en-GB');
}

export function counted(count: number, one: string, several = `${one}s`): string {
  return `${number(count)} ${count === 1 ? one : several}`;
}

/**
 * A moment in UTC; the page's script writes it in the reader's own time zone. `date`: with its day; `ago`: how long since, with
 * the moment itself behind it.
 */
export function time(at: Date, form: 'time' | 'date' | 'ago' = 'date'): Html {
  const text = at.toLocaleString('en-GB', {
    timeZone: 'UTC',
    ...(form === 'time' ? {} : ({ day: 'numeric', month: 'short', year: 'numeric' } as const)),
    ...{ hour: '2-digit', minute: '2-digit' },
  });
  return html`<time datetime="${at.toISOString()}" data-form="${form}">${text} UTC</time>`;
}

/** `shop.example.com/shop` */
export function place(base: string): string {
  if (!URL.canParse(base)) return base;
  const url = new URL(base);
  return url.host + url.pathname.replace(/\/$/, '');
}

/** An id or the beginning of a hash, in a chip. */
export function chip(text: string): Html {
  return html`<code>${text}</code>`;
}

/** `9f2c…a41e`, with the whole of it for whoever asks. */
export function hashChip(hash: string): Html {
  return html`<code title="${hash}">${hash.slice(0, 4)}…${hash.slice(-4)}</code>`;
}

/** `Create a WooCommerce API key`, as long as this version knows the service. */
export function titleOf(services: readonly Service[], service: string, type: string): string {
  const known = services.find(({ id }) => id === service);
  // A word that names no type of this service finds none.
  return (
    known?.operationTypes[type as keyof Service['operationTypes']]?.title ?? `${service}: ${type.replaceAll('_', ' ')}`
  );
}
