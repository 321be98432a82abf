import type { RecordedData } from './recorder-data.ts';
import { annotation, type Look, type PageSight, type RecordedEvent, type Recording } from './recording.ts';

export type Act = Extract<RecordedEvent, { kind: 'act' }>;
export type Result = Extract<RecordedEvent, { kind: 'result' }>;
export type Navigate = Extract<RecordedEvent, { kind: 'navigate' }>;

/** The events of one recording, and how each of them stands to the others. */
export class Sequence {
  readonly events: readonly RecordedEvent[];
  /** The click that the results come from: the workflow's one effect; -1 when there is none. */
  readonly effect: number;
  readonly #signInEnd: number;
  readonly #final: PageSight | undefined;
  readonly #data: RecordedData;

  constructor(recording: Recording, data: RecordedData) {
    this.#data = data;
    this.#final = recording.final;
    this.events = recording.events.filter((event, i) => !this.#isOverwritten(event, recording.events[i + 1]));
    this.effect = annotation(recording, 'effect') === 'none' ? -1 : this.#findEffect();
    this.#signInEnd = this.#findSignInEnd();
  }

  isSignIn(i: number): boolean {
    return i <= this.#signInEnd;
  }

  /** The innermost `test.step` names an action that is alone in it; otherwise the action names itself. */
  titled(i: number, sentence: string): string {
    const event = this.events[i];
    const title = event?.steps.at(-1);
    if (event === undefined || title === undefined) return sentence;
    const inside = this.events.filter(
      (other) =>
        (other.kind === 'act' || other.kind === 'navigate') &&
        event.steps.every((step, at) => other.steps[at] === step),
    );
    const held = this.#data.template(title);
    return inside.length === 1 ? held : `${held}: ${sentence.charAt(0).toLowerCase()}${sentence.slice(1)}`;
  }

  resultsAfter(i: number): Result[] {
    const results: Result[] = [];
    for (const event of this.events.slice(i + 1)) {
      if (event.kind === 'result') results.push(event);
      else if (event.kind !== 'expect') break;
    }
    return results;
  }

  /** A value of a run's was typed, chosen, or chose an element before. */
  isAfterData(i: number): boolean {
    return this.events.slice(0, i).some((event) => this.#isData(event));
  }

  /** The same of inputs alone. */
  isAfterInput(i: number): boolean {
    return this.events.slice(0, i).some((event) => this.#isInput(event));
  }

  /** An input's value was, since this page was opened: a form that is sent by its address shows it there. */
  isFormFilled(i: number): boolean {
    const { url } = this.events[i]?.before ?? {};
    const since = this.events.slice(0, i).findLastIndex(({ before }) => before.url !== url);
    return this.events.slice(since + 1, i).some((event) => this.#isInput(event));
  }

  /** Whether which element it is follows from an input. */
  isBound({ code }: Look): boolean {
    const texts = [...code.matchAll(/'((?:[^'\\]|\\.)*)'/g)].map(([, text = '']) => text.replace(/\\(.)/g, '$1'));
    return texts.some((text) => this.#data.template(text) !== text);
  }

  stateAfter(i: number): PageSight | undefined {
    return this.events[i + 1]?.before ?? this.#final;
  }

  /** The page once it has come to rest: what the last of the spec's own expectations saw. */
  settledAfter(i: number): PageSight | undefined {
    let at = i + 1;
    while (
      ['expect', 'result'].includes(this.events[at]?.kind ?? '') &&
      ['expect', 'result', 'act'].includes(this.events[at + 1]?.kind ?? '')
    )
      at += 1;
    return this.events[at]?.before ?? this.#final;
  }

  /** Emptied only to be filled at once. */
  #isOverwritten(event: RecordedEvent, next: RecordedEvent | undefined): boolean {
    const isSame =
      event.kind === 'act' &&
      next?.kind === 'act' &&
      JSON.stringify(event.look.locators) === JSON.stringify(next.look.locators);
    return isSame && event.action === 'fill' && next.action === 'fill' && event.value === '';
  }

  #findEffect(): number {
    return this.events.findLastIndex(
      (event, i) => event.kind === 'act' && event.action === 'click' && this.resultsAfter(i).length > 0,
    );
  }

  /** What sends the first secrets that were typed; -1 when none was, or when it is the effect itself. */
  #findSignInEnd(): number {
    const isSecret = (event: RecordedEvent) =>
      event.kind === 'act' && event.action === 'fill' && this.#data.slotOf(event.value ?? '') !== undefined;
    const first = this.events.findIndex(isSecret);
    const end = this.events.findIndex((event, i) => {
      if (first < 0 || i <= first || event.kind !== 'act' || !['click', 'press'].includes(event.action)) return false;
      const after = this.settledAfter(i);
      return event.hasSent || after?.isLastGone === true || pathOf(after?.url ?? '') !== pathOf(event.before.url);
    });
    return this.effect >= 0 && end >= this.effect ? -1 : end;
  }

  #isInput(event: RecordedEvent): boolean {
    return this.#isData(event) && !(event.kind === 'act' && this.#data.slotOf(event.value ?? '') !== undefined);
  }

  #isData(event: RecordedEvent): boolean {
    if (event.kind !== 'act') return false;
    const { value } = event;
    const isTyped = value !== undefined && (this.#data.slotOf(value) ?? this.#data.template(value)) !== value;
    return isTyped || this.isBound(event.look);
  }
}

function pathOf(url: string): string {
  return URL.parse(url)?.pathname ?? '';
}
