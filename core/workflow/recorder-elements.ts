import { holdsWords } from '../agent/relocate.ts';
import type { Condition, Fingerprint, Locator } from '../ports/browser.ts';
import { placeholdersIn } from './placeholders.ts';
import { claimOf, together } from './recorder-conditions.ts';
import { isVolatile, type RecordedData } from './recorder-data.ts';
import type { Act, Sequence } from './recorder-sequence.ts';
import type { Look, RecordedEvent } from './recording.ts';

/** What is told of elements: how each is found again, and what is seen of it, with other values than the recorded ones. */
export class Elements {
  readonly #sequence: Sequence;
  readonly #data: RecordedData;

  constructor(sequence: Sequence, data: RecordedData) {
    this.#sequence = sequence;
    this.#data = data;
  }

  /** Locators, identity and fingerprint as they hold for other values. */
  element(i: number, look: Look) {
    const locators = this.locators(i, look);
    if (locators.length === 0) return undefined;
    const { data, isBound } = { data: this.#data, isBound: this.#sequence.isBound(look) };
    const { name, ...nameless } = look.identity;
    const isPlaced = this.isPlaced(i, look);
    const identity = isPlaced || name === undefined ? nameless : data.identity(look.identity, isBound);
    const css = locators.find((locator) => locator.by === 'css' && isSimple(locator));
    const print = data.fingerprint(look.fingerprint, isBound);
    const { id: _id, testId: _testId, href: _href, ...unbound } = print;
    const isTold = (words: string) => holdsWords(print, words);
    const inputs = isBound ? [...new Set(placeholdersIn(JSON.stringify(locators[0])))] : [];
    const bound = inputs.map((input) => `{${input}}`).filter(isTold);
    const page = data.address(this.#sequence.events[i]?.before.url ?? '') ?? '{base}/';
    return {
      ...(css?.by === 'css' ? { target: css.selector } : {}),
      locators: [...locators],
      identities: [identity],
      // Found by its place after an input, or by an input that shows nowhere near it, it is told from others by nothing.
      ...(isPlaced || bound.length < inputs.length ? {} : { fingerprint: isBound ? unbound : print }),
      ...(bound.length > 0 ? { bound } : {}),
      place: { page: patternOf(page), frames: look.frames.map((url) => patternOf(data.address(url) ?? 'elsewhere')) },
    };
  }

  /** A result says itself, so it is known by its place and by what stands beside it. */
  resultPrint(look: Look): Fingerprint {
    const { name, text: _text, ...print } = this.#data.fingerprint(look.fingerprint);
    const isField = ['input', 'textarea', 'select'].includes(print.tag);
    return { ...print, ...(isField && name !== undefined ? { name } : {}) };
  }

  locators(i: number, look: Look): readonly Locator[] {
    const held = this.#data.locators(look.locators, this.#sequence.isBound(look));
    const lasting = held.filter((locator) => !isVolatile(JSON.stringify(locator)));
    const all = lasting.length > 0 ? lasting : held;
    // Beside a place that the spec names, words that follow from the data would find it on the recorded day alone.
    return this.isPlaced(i, look) ? all.filter((locator, at) => at === 0 || locator.by === 'css') : all;
  }

  /** Found by its place among what may follow from a value: what it says and where it leads are the recorded day's. */
  isPlaced(i: number, look: Look): boolean {
    return this.#sequence.isAfterInput(i) && isPositional(look) && look.identity.role !== 'textbox';
  }

  /** Of what a spec expects, only the spec's own words and what programs see: other words may follow from the data. */
  #claimed(j: number, event: Extract<RecordedEvent, { kind: 'expect' }>): Locator | undefined {
    const { look } = event;
    if (look === undefined) return undefined;
    const own = look.hasOwn
      ? look.locators.slice(0, 1)
      : look.locators.filter((locator) => locator.by === 'css' && !locator.selector.includes(' > '));
    const [locator] = this.locators(j, { ...look, locators: own });
    return locator && isVolatile(JSON.stringify(locator)) ? undefined : locator;
  }

  ticked(i: number, event: Act, [first]: readonly Locator[]): Condition {
    const { claims, next } = this.following(i);
    const isGone = this.#sequence.stateAfter(i)?.isLastGone && event.look.isVisible;
    const seen = next ?? (event.look.isVisible ? first : undefined) ?? ({ by: 'css', selector: 'body' } as const);
    const own: Condition =
      isGone || first === undefined
        ? { kind: 'visible', locator: seen }
        : { kind: 'checked', locator: first, is: event.isChecked ?? true };
    return together([own, ...claims]);
  }

  following(i: number): { claims: readonly Condition[]; next: Locator | undefined } {
    const claims: Condition[] = [];
    for (const [j, event] of this.#sequence.events.entries()) {
      if (j <= i || event.kind === 'result') continue;
      if (event.kind === 'expect') {
        const claim = claimOf(event, () => this.#claimed(j, event), this.#data, this.#sequence.isAfterData(j));
        if (claim) claims.push(claim);
        continue;
      }
      const next = event.kind === 'act' && event.look.isVisible ? this.locators(j, event.look)[0] : undefined;
      return { claims, next };
    }
    return { claims, next: undefined };
  }

  /** Why an element can't be found again. */
  lost(what: string, look: Look): string {
    const why = this.#sequence.isBound(look)
      ? 'it is found by an input in a way that another value could not be put into; getByRole, getByLabel, getByText and hasText can'
      : look.frames.length > 0
        ? 'it stands in a frame that is not at an address of the site'
        : 'nothing finds it and nothing else';
    return `${what} uses ${this.#data.template(look.code)}: ${why}.`;
  }
}

/** Found by its place among others, or by what it looks like; the words of a button are its own all the same. */
function isPositional({ code, identity }: Look): boolean {
  const isByLook = /locator\('(?![^']*(?:#|\[(?:id|name|data-)))[^']*'\)$/.test(code) && identity.role !== 'button';
  return isByLook || /\.(?:nth|first|last)\(/.test(code);
}

/** A selector that says what an element is, not where it stands. */
function isSimple({ within, nth, hasText, ...rule }: Locator): boolean {
  const isPlain = within === undefined && nth === undefined && hasText === undefined;
  return isPlain && rule.by === 'css' && !rule.selector.includes(' > ');
}

/** An address without its query, and `*` for what varies. */
function patternOf(address: string): string {
  const [path = ''] = address.split(/[?#]/);
  return path
    .split('/')
    .map((part, i) => (i > 0 && (/^\d+$/.test(part) || isVolatile(part)) ? '*' : part))
    .join('/');
}
