import { CountersignError } from '../errors.ts';
import type { Condition, Fingerprint, Locator } from '../ports/browser.ts';

/** The value slots of a run, such as `{ base, label, scope }`; never a secret. */
export type Values = Readonly<Record<string, string>>;

/**
 * Slots that every workflow may use without declaring them; `basePath` is the folder of `base`, empty at the root, and
 * `baseHost` its host with the port.
 */
export const BUILT_IN_VALUES: readonly string[] = ['base', 'basePath', 'baseHost', 'label'];

/** What an address begins with: the target's own base, or another origin of the service in a value such as `dashboardBase`. */
export const ADDRESS_START = /^\{(?:base|[a-z]+Base)\}/;

const PLACEHOLDER = /\{([A-Za-z][A-Za-z0-9_]*)\}/g;
const SECRET_SLOT = /^\{secret:([a-z][a-z0-9_]*)\}$/;

/** Completes a run's values with those that follow from them. */
export function withDerivedValues(values: Values): Values {
  const base = values.base;
  if (base === undefined) return values;
  const { pathname, host } = new URL(base);
  return { ...values, basePath: pathname.replace(/\/+$/, ''), baseHost: host };
}

/** `{secret:admin_password}` → `admin_password`; `undefined` for anything else. */
export function secretSlot(value: string): string | undefined {
  return SECRET_SLOT.exec(value)?.[1];
}

/** The names of the placeholders in a text. */
export function placeholdersIn(text: string): readonly string[] {
  return [...text.matchAll(PLACEHOLDER)].map((match) => match[1] ?? '');
}

/** Fills the placeholders of a sentence or a value. @throws CountersignError `workflow_invalid` for a slot without a value. */
export function fillText(text: string, values: Values): string {
  return fill(text, values, (value) => value);
}

/** Fills an address: the base that it begins with stands as it is, every other value is percent-encoded. */
export function fillUrl(url: string, values: Values): string {
  const start = ADDRESS_START.exec(url)?.[0] ?? '';
  const rest = url.slice(start.length);
  return fillText(start, values) + fill(rest, values, encodeURIComponent);
}

/** Fills what a locator compares with. CSS selectors stay as recorded: a value must not become syntax. */
export function fillLocator(locator: Locator, values: Values): Locator {
  const within = {
    ...(locator.within === undefined ? {} : { within: fillLocator(locator.within, values) }),
    ...(locator.hasText === undefined ? {} : { hasText: fillText(locator.hasText, values) }),
  };
  switch (locator.by) {
    case 'role':
      return {
        ...locator,
        ...(locator.name === undefined ? {} : { name: fillText(locator.name, values) }),
        ...within,
      };
    case 'label':
    case 'placeholder':
    case 'text':
      return { ...locator, text: fillText(locator.text, values), ...within };
    case 'css':
      return { ...locator, ...within };
  }
}

/** Fills the words of an element that an input tells from others. */
export function fillFingerprint(print: Fingerprint, values: Values): Fingerprint {
  const filled = Object.entries(print).map(([key, value]: [string, unknown]) => {
    if (Array.isArray(value)) return [key, value.map((text) => fillText(String(text), values))];
    return [key, typeof value === 'string' ? fillText(value, values) : value];
  });
  return Object.fromEntries(filled) as Fingerprint; // each text was replaced by a text
}

/** Fills what a condition compares with; patterns stay as recorded. */
export function fillCondition(condition: Condition, values: Values): Condition {
  switch (condition.kind) {
    case 'url':
      return {
        ...condition,
        ...(condition.path === undefined ? {} : { path: fillText(condition.path, values) }),
        ...(condition.query === undefined ? {} : { query: fillEach(condition.query, values) }),
      };
    case 'visible':
    case 'hidden':
    case 'checked':
      return { ...condition, locator: fillLocator(condition.locator, values) };
    case 'value':
      return {
        ...condition,
        locator: fillLocator(condition.locator, values),
        ...(condition.equals === undefined ? {} : { equals: fillText(condition.equals, values) }),
      };
    case 'all':
    case 'any':
      return { ...condition, of: condition.of.map((part) => fillCondition(part, values)) };
  }
}

function fillEach(texts: Readonly<Record<string, string>>, values: Values): Record<string, string> {
  return Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, fillText(text, values)]));
}

function fill(text: string, values: Values, write: (value: string) => string): string {
  return text.replace(PLACEHOLDER, (_, name: string) => {
    const value = Object.hasOwn(values, name) ? values[name] : undefined;
    if (value === undefined) throw new CountersignError('workflow_invalid', `No value for the placeholder {${name}}`);
    return write(value);
  });
}
