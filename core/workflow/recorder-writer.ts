import type { Condition, Locator } from '../ports/browser.ts';
import { findSecrets } from '../redaction.ts';
import { placeholdersIn } from './placeholders.ts';
import { addressChange, changeOf, heldValue, together } from './recorder-conditions.ts';
import type { RecordedData } from './recorder-data.ts';
import { Elements } from './recorder-elements.ts';
import { type Act, type Navigate, type Result, Sequence } from './recorder-sequence.ts';
import { sentenceFor } from './recorder-words.ts';
import { annotation, type Look, type Recording } from './recording.ts';
import type { Step } from './steps/index.ts';

const LOADING_MS = 45_000;
const TYPING_MS = 20_000;
const EFFECT_MS = 25_000;

/** Writes the steps of one recording, and what stands against them. */
export class StepWriter {
  readonly problems: string[] = [];
  readonly notes: string[] = [];
  readonly #recording: Recording;
  readonly #data: RecordedData;
  readonly #sequence: Sequence;
  readonly #elements: Elements;

  constructor(recording: Recording, data: RecordedData) {
    this.#recording = recording;
    this.#data = data;
    this.#sequence = new Sequence(recording, data);
    this.#elements = new Elements(this.#sequence, data);
  }

  steps(): Step[] {
    const steps: Step[] = [];
    const add = (step: object | undefined) => {
      if (step) steps.push({ order: steps.length + 1, ...step } as Step); // checked as a whole before it is written
    };
    for (const [i, event] of this.#sequence.events.entries()) {
      if (event.kind === 'navigate') add(this.#navigate(i, event));
      if (event.kind === 'act') add(i === this.#sequence.effect ? this.#extract(i, event) : this.#act(i, event));
      if (event.kind === 'act' || event.kind === 'navigate') {
        const results = i === this.#sequence.effect ? [] : this.#sequence.resultsAfter(i);
        if (results.length > 0) add(this.#read(i, event, results));
      }
      if (event.kind === 'unsupported') this.#refuse(event.what, event.isHarmless);
    }
    const verify = annotation(this.#recording, 'verify');
    if (verify !== undefined)
      add({
        ...this.#base(this.#sequence.events.length, verify, 60_000),
        expectedResult: 'What was made works',
        kind: 'verify',
        action: 'verify',
      });
    return steps;
  }

  #refuse(what: string, isHarmless: boolean): void {
    if (isHarmless) this.notes.push(`${what} is left out: no step repeats it.`);
    else this.problems.push(`The test uses ${what}: no step can repeat that.`);
  }

  #base(i: number, intent: string, timeoutMs: number) {
    const isSignIn = this.#sequence.isSignIn(i);
    const permission = isSignIn ? 'sign_in' : (annotation(this.#recording, 'permission') ?? 'operate');
    const event = this.#sequence.events[i];
    const changes = event?.kind === 'act' && event.hasSent && !isSignIn;
    return {
      intent,
      expectedResult: 'The page goes on',
      alternatives: [],
      permission,
      risk: changes ? ('changes' as const) : ('reads' as const),
      isMutating: false,
      timeoutMs,
      failsWhen: [],
    };
  }

  #navigate(i: number, event: Navigate) {
    const target = this.#data.address(event.url);
    if (target === undefined) {
      this.problems.push(
        `The test opens ${originOf(event.url)}, which is not under ${this.#recording.base}: a workflow stays on its site.`,
      );
      return undefined;
    }
    const arrived = this.#sequence.stateAfter(i)?.url ?? event.url;
    const { claims, next } = this.#elements.following(i);
    const address = addressChange('about:blank', arrived, this.#data, false);
    const seen: Condition[] = [
      ...(address ? [address] : []),
      ...claims,
      ...(next ? [{ kind: 'visible', locator: next } as const] : []),
    ];
    const postcondition =
      seen.length > 0
        ? together(seen)
        : changeOf(
            { before: event.before, after: undefined, next, claims, isAfterData: true, isFormFilled: true },
            undefined,
            this.#data,
          );
    return {
      ...this.#base(i, this.#sequence.titled(i, sentenceFor({ kind: 'navigate', target })), LOADING_MS),
      expectedResult: 'The page is open',
      kind: 'navigate',
      action: 'navigate',
      target,
      postcondition,
    };
  }

  #act(i: number, event: Act) {
    const found = this.#found(i, event.look);
    const [first] = found?.locators ?? [];
    if (!found || !first) return undefined;
    const name = this.#nameOf(i, event.look);
    const value = this.#valueFor(event, name);
    if (value === undefined) return undefined;
    const sentence = sentenceFor({
      kind: event.action,
      name,
      value,
      isChecked: event.isChecked ?? true,
      look: event.look,
    });
    const isPage = event.action === 'click' || event.action === 'press';
    const base = { ...this.#base(i, this.#sequence.titled(i, sentence), isPage ? LOADING_MS : TYPING_MS), ...found };
    switch (event.action) {
      case 'click':
        return {
          ...base,
          ...this.#opening(i),
          kind: 'click',
          action: 'click',
          postcondition: this.#change(i, event, first),
        };
      case 'press':
        return { ...base, kind: 'press', action: 'press', value, postcondition: this.#change(i, event, first) };
      case 'check': {
        const isChecked = event.isChecked ?? true;
        return {
          ...base,
          expectedResult: `It is ${isChecked ? 'ticked' : 'not ticked'}`,
          kind: 'check',
          action: 'check',
          isChecked,
          postcondition: this.#elements.ticked(i, event, found.locators),
        };
      }
      case 'select':
      case 'fill': {
        const isGone = this.#sequence.stateAfter(i)?.isLastGone ?? false;
        const { claims, next } = this.#elements.following(i);
        const own =
          isGone && next ? ({ kind: 'visible', locator: next } as const) : heldValue(event, value, first, this.#data);
        const words = event.action === 'fill' ? 'The field holds it' : 'It is chosen';
        const action = event.action === 'fill' ? 'fill' : 'selectOption';
        return {
          ...base,
          expectedResult: words,
          kind: event.action,
          action,
          value,
          postcondition: together([own, ...claims]),
        };
      }
    }
  }

  /** Whether what comes next is on another page, in a window of its own. */
  #opening(i: number) {
    const { events } = this.#sequence;
    const [own = 0, next = 0] = [events[i]?.window, events[i + 1]?.window ?? events[i]?.window];
    return next > own ? { opensPage: true } : {};
  }

  #found(i: number, look: Look) {
    const found = this.#elements.element(i, look);
    if (!found) this.problems.push(this.#elements.lost('a step', look));
    return found;
  }

  #nameOf(i: number, look: Look): string {
    if (this.#elements.isPlaced(i, look)) return '';
    const { identity, fingerprint } = look;
    const { name, text, placeholder } = fingerprint;
    return this.#data.template(identity.name ?? name ?? text ?? placeholder ?? '').slice(0, 60);
  }

  /** What is typed, chosen or pressed; empty where nothing is. */
  #valueFor({ action, value = '', look }: Act, name: string): string | undefined {
    if (action === 'click' || action === 'check') return '';
    const slot = this.#data.slotOf(value);
    if (slot !== undefined && action === 'fill') return `{secret:${slot}}`;
    const field = name === '' ? look.code : `“${name}”`;
    if (look.identity.type === 'password')
      this.problems.push(`The password field ${field} is filled with a plain text: wrap it as secret('slot', value).`);
    else if (findSecrets(value).length > 0)
      this.problems.push(`What is typed into ${field} looks like a secret: wrap it as secret('slot', value).`);
    else if (value === '') this.problems.push(`${field} is emptied: no step can repeat that.`);
    else if (action === 'press' && !/^[A-Za-z0-9+]+$/.test(value))
      this.problems.push(`The key “${value}” is none that a step can press.`);
    else if (placeholdersIn(value).length > 0)
      this.problems.push(`What is typed into ${field} looks like a placeholder.`);
    else return action === 'press' ? value : this.#data.template(value);
    return undefined;
  }

  #extract(i: number, event: Act) {
    const found = this.#found(i, event.look);
    if (!found) return undefined;
    const name = this.#nameOf(i, event.look);
    const results = this.#sequence.resultsAfter(i);
    const names = results.map((result) => result.name.replaceAll('_', ' ')).join(' and ');
    return {
      ...this.#base(i, this.#sequence.titled(i, `Click “${name}” and keep the ${names}`), EFFECT_MS),
      ...found,
      expectedResult: `The ${names} is kept`,
      risk: 'creates',
      isMutating: true,
      ...this.#opening(i),
      kind: 'extract',
      action: 'copy',
      extract: this.#fields(i, results),
    };
  }

  #read(i: number, event: Act | Navigate, results: readonly Result[]) {
    const names = results.map((result) => result.name.replaceAll('_', ' ')).join(' and ');
    return {
      ...this.#base(i, this.#data.template(results[0]?.steps.at(-1) ?? '') || `Read the ${names}`, TYPING_MS),
      permission: this.#base(this.#sequence.events.indexOf(event) + 1, '', 1).permission,
      risk: 'reads',
      expectedResult: `The ${names} is read`,
      kind: 'read',
      action: 'copy',
      extract: this.#fields(i, results),
    };
  }

  #fields(i: number, results: readonly Result[]) {
    const fields = results.flatMap((result) => {
      const locators = this.#elements.locators(i, result.look);
      if (locators.length === 0) this.problems.push(this.#elements.lost(`the result ${result.name}`, result.look));
      const fingerprint = this.#elements.resultPrint(result.look);
      return locators.length === 0 ? [] : [[result.name, { locators, matches: result.pattern, fingerprint }] as const];
    });
    const ready = fields
      .flatMap(([, { locators }]) => locators.slice(0, 1))
      .map((locator) => ({ kind: 'value', locator, matches: '[\\s\\S]+' }) as const);
    return { ready: together([...ready, ...this.#elements.following(i).claims]), fields: Object.fromEntries(fields) };
  }

  #change(i: number, event: Act, own: Locator): Condition {
    // Where something leads that was found by its place follows from the data, too.
    const isPlaced = this.#elements.isPlaced(i, event.look);
    const after = isPlaced ? undefined : this.#sequence.settledAfter(i);
    return changeOf(
      {
        before: event.before,
        after,
        ...this.#elements.following(i),
        isAfterData: this.#sequence.isAfterData(i),
        isFormFilled: this.#sequence.isFormFilled(i),
      },
      own,
      this.#data,
    );
  }
}

function originOf(url: string): string {
  return URL.parse(url)?.origin ?? url.slice(0, 40);
}
