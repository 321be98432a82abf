import type { Condition, Locator } from '../ports/browser.ts';
import { placeholdersIn } from './placeholders.ts';
import { addressChange, changeOf, claimOf, heldValue, together } from './recorder-conditions.ts';
import { isVolatile, type RecordedData, recordedData } from './recorder-data.ts';
import { sentenceFor } from './recorder-words.ts';
import type { Look, PageSight, RecordedEvent, Recording } from './recording.ts';
import { RECORDER_VERSION } from './recording.ts';
import type { Step } from './steps/index.ts';
import type { Workflow } from './workflow.ts';

export interface DraftOptions {
  /** The spec's path as it shall be named, its commit and the hash of its content. */
  readonly spec: { readonly file: string; readonly commit: string; readonly contentHash: string };
  /** `2026-11-22` */
  readonly recordedOn: string;
}

export type Draft =
  | {
      readonly kind: 'draft';
      readonly workflow: Workflow;
      /** The spec names the id itself. */
      readonly hasOwnId: boolean;
      /** `GET /path` of what the pages called in the background, without what varies. */
      readonly calls: readonly string[];
      /** What was left out, each a sentence. */
      readonly notes: readonly string[];
    }
  /** Why nothing may be made of it, each a sentence. */
  | { readonly kind: 'refused'; readonly problems: readonly string[] };

type Act = Extract<RecordedEvent, { kind: 'act' }>;
type Result = Extract<RecordedEvent, { kind: 'result' }>;
type Navigate = Extract<RecordedEvent, { kind: 'navigate' }>;

const LOADING_MS = 45_000;
const TYPING_MS = 20_000;
const EFFECT_MS = 25_000;

/**
 * Turns what a test did into a workflow: one step for each action, with a claim that code can check, and with
 * placeholders for what was typed. It holds no secret and no result, or it isn't made.
 */
export function draftOf(recording: Recording, options: DraftOptions): Draft {
  const failed = failureOf(recording);
  if (failed.length > 0) return { kind: 'refused', problems: failed };
  const data = recordedData(recording);
  const writer = new Writer(recording, data);
  const steps = writer.steps();
  const workflow: Workflow = {
    ...headOf(recording, data),
    inputs: recording.inputs.map(({ name }) => name).filter((name) => !['label', 'base', 'basePath'].includes(name)),
    secrets: recording.secrets.map(({ name }) => name),
    preconditions: [],
    steps,
    postconditions: [],
    successIndicators: [],
    errorRecovery: [],
    provenance: {
      source: 'recorded',
      spec: { ...options.spec, line: recording.line },
      recorderVersion: RECORDER_VERSION,
      recordedOn: options.recordedOn,
      vendorVersion: annotation(recording, 'vendor') ?? recording.generators.join(', ').slice(0, 200) ?? '',
    },
  };
  if (workflow.provenance.vendorVersion === '') workflow.provenance.vendorVersion = 'unknown';
  const problems = [...writer.problems, ...leaksOf(workflow, data)];
  if (steps.length === 0) problems.push('The test did nothing that a workflow could repeat.');
  if (problems.length > 0) return { kind: 'refused', problems };
  const calls = recording.calls.filter(
    (call) => !isVolatile(call) && !/\/\d+(?:\/|$)/.test(call) && !data.mentions(call),
  );
  return {
    kind: 'draft',
    workflow,
    hasOwnId: annotation(recording, 'workflow') !== undefined,
    calls: calls.filter((call) => data.leaksIn(call).length === 0),
    notes: writer.notes,
  };
}

function failureOf({ status, errors, titles, base, events }: Recording): string[] {
  const title = `The test “${titles.at(-1) ?? ''}”`;
  if (status !== 'passed') return [`${title} did not pass (${status}).`, ...errors];
  return base === undefined || events.length === 0
    ? [`${title} opened no page by its fixtures, so there is nothing to record.`]
    : [];
}

export function annotation({ annotations }: Recording, type: string): string | undefined {
  return annotations.findLast((one) => one.type === type && one.description !== '')?.description;
}

function headOf(recording: Recording, data: RecordedData) {
  const title = data.template(recording.titles.at(-1) ?? 'Recorded');
  const service = annotation(recording, 'service') ?? serviceOf(recording.file);
  const slug = slugOf(title);
  return {
    id: annotation(recording, 'workflow') ?? (slug.startsWith(service) ? slug : `${service}_${slug}`),
    aliases: [],
    name: annotation(recording, 'name') ?? title,
    intent: annotation(recording, 'intent') ?? title,
    version: 1,
    service,
  };
}

function serviceOf(file: string): string {
  return slugOf((file.split(/[\\/]/).at(-1) ?? '').replace(/(?:\.(?:spec|test))?\.[cm]?[jt]sx?$/, ''));
}

/** `Create an API key!` → `create-an-api-key` */
export function slugOf(text: string): string {
  const slug = text
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '');
  return /^[a-z]/.test(slug) ? slug : `w-${slug}`.replace(/-$/, '');
}

/** Where a secret or a result stands in what would be written, whatever it is a part of. */
export function leaksOf(written: unknown, data: RecordedData, path = ''): string[] {
  if (typeof written === 'string')
    return data.leaksIn(written).map((what) => `The value of ${what} would stand in ${path}: nothing was written.`);
  if (typeof written !== 'object' || written === null) return [];
  return Object.entries(written).flatMap(([key, value]: [string, unknown]) => [
    ...data.leaksIn(key).map((what) => `The value of ${what} would be a name in ${path}: nothing was written.`),
    ...leaksOf(value, data, path === '' ? key : `${path}.${key}`),
  ]);
}

/** Writes the steps of one recording, and what stands against them. */
class Writer {
  readonly problems: string[] = [];
  readonly notes: string[] = [];
  readonly #events: readonly RecordedEvent[];
  readonly #final: PageSight | undefined;
  readonly #recording: Recording;
  readonly #data: RecordedData;
  readonly #effect: number;
  readonly #signInEnd: number;

  constructor(recording: Recording, data: RecordedData) {
    this.#recording = recording;
    this.#data = data;
    this.#final = recording.final;
    this.#events = recording.events.filter((event, i) => !this.#isOverwritten(event, recording.events[i + 1]));
    this.#effect = annotation(recording, 'effect') === 'none' ? -1 : this.#findEffect();
    this.#signInEnd = this.#findSignInEnd();
  }

  steps(): Step[] {
    const steps: Step[] = [];
    const add = (step: object | undefined) => {
      if (step) steps.push({ order: steps.length + 1, ...step } as Step); // checked as a whole before it is written
    };
    for (const [i, event] of this.#events.entries()) {
      if (event.kind === 'navigate') add(this.#navigate(i, event));
      if (event.kind === 'act') add(i === this.#effect ? this.#extract(i, event) : this.#act(i, event));
      if (event.kind === 'act' || event.kind === 'navigate') {
        const results = i === this.#effect ? [] : this.#resultsAfter(i);
        if (results.length > 0) add(this.#read(i, event, results));
      }
      if (event.kind === 'unsupported') this.#refuse(event.what, event.isHarmless);
    }
    const verify = annotation(this.#recording, 'verify');
    if (verify !== undefined)
      add({
        ...this.#base(this.#events.length, verify, 60_000),
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

  /** Emptied only to be filled at once. */
  #isOverwritten(event: RecordedEvent, next: RecordedEvent | undefined): boolean {
    const isSame =
      event.kind === 'act' &&
      next?.kind === 'act' &&
      JSON.stringify(event.look.locators) === JSON.stringify(next.look.locators);
    return isSame && event.action === 'fill' && next.action === 'fill' && event.value === '';
  }

  #resultsAfter(i: number): Result[] {
    const results: Result[] = [];
    for (const event of this.#events.slice(i + 1)) {
      if (event.kind === 'result') results.push(event);
      else if (event.kind !== 'expect') break;
    }
    return results;
  }

  #findEffect(): number {
    return this.#events.findLastIndex(
      (event, i) => event.kind === 'act' && event.action === 'click' && this.#resultsAfter(i).length > 0,
    );
  }

  /** What sends the first secrets that were typed; -1 when none was, or when it is the effect itself. */
  #findSignInEnd(): number {
    const isSecret = (event: RecordedEvent) =>
      event.kind === 'act' && event.action === 'fill' && this.#data.slotOf(event.value ?? '') !== undefined;
    const first = this.#events.findIndex(isSecret);
    const end = this.#events.findIndex((event, i) => {
      if (first < 0 || i <= first || event.kind !== 'act' || !['click', 'press'].includes(event.action)) return false;
      const after = this.#settledAfter(i);
      return event.hasSent || after?.isLastGone === true || pathOf(after?.url ?? '') !== pathOf(event.before.url);
    });
    return this.#effect >= 0 && end >= this.#effect ? -1 : end;
  }

  #base(i: number, intent: string, timeoutMs: number) {
    const isSignIn = i <= this.#signInEnd;
    const permission = isSignIn ? 'sign_in' : (annotation(this.#recording, 'permission') ?? 'operate');
    const event = this.#events[i];
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
    const arrived = this.#stateAfter(i)?.url ?? event.url;
    const { claims, next } = this.#following(i);
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
      ...this.#base(i, this.#titled(i, sentenceFor({ kind: 'navigate', target })), LOADING_MS),
      expectedResult: 'The page is open',
      kind: 'navigate',
      action: 'navigate',
      target,
      postcondition,
    };
  }

  #act(i: number, event: Act) {
    const found = this.#element(i, event.look);
    const [first] = found?.locators ?? [];
    if (!found || !first) return undefined;
    const name = this.#nameOf(event.look);
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
    const base = { ...this.#base(i, this.#titled(i, sentence), isPage ? LOADING_MS : TYPING_MS), ...found };
    switch (event.action) {
      case 'click':
        return { ...base, kind: 'click', action: 'click', postcondition: this.#change(i, event, first) };
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
          postcondition: this.#ticked(i, event, found.locators),
        };
      }
      case 'select':
      case 'fill': {
        const isGone = this.#stateAfter(i)?.isLastGone ?? false;
        const { claims, next } = this.#following(i);
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

  #nameOf({ identity, fingerprint }: Look): string {
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
    else if (value === '') this.problems.push(`${field} is emptied: no step can repeat that.`);
    else if (action === 'press' && !/^[A-Za-z0-9+]+$/.test(value))
      this.problems.push(`The key “${value}” is none that a step can press.`);
    else if (placeholdersIn(value).length > 0)
      this.problems.push(`What is typed into ${field} looks like a placeholder.`);
    else return action === 'press' ? value : this.#data.template(value);
    return undefined;
  }

  #extract(i: number, event: Act) {
    const found = this.#element(i, event.look);
    if (!found) return undefined;
    const name = this.#nameOf(event.look);
    const results = this.#resultsAfter(i);
    const names = results.map((result) => result.name.replaceAll('_', ' ')).join(' and ');
    return {
      ...this.#base(i, this.#titled(i, `Click “${name}” and keep the ${names}`), EFFECT_MS),
      ...found,
      expectedResult: `The ${names} is kept`,
      risk: 'creates',
      isMutating: true,
      kind: 'extract',
      action: 'copy',
      extract: this.#fields(i, results),
    };
  }

  #read(i: number, event: Act | Navigate, results: readonly Result[]) {
    const names = results.map((result) => result.name.replaceAll('_', ' ')).join(' and ');
    return {
      ...this.#base(i, this.#data.template(results[0]?.steps.at(-1) ?? '') || `Read the ${names}`, TYPING_MS),
      permission: this.#base(this.#events.indexOf(event) + 1, '', 1).permission,
      risk: 'reads',
      expectedResult: `The ${names} is read`,
      kind: 'read',
      action: 'copy',
      extract: this.#fields(i, results),
    };
  }

  #fields(i: number, results: readonly Result[]) {
    const fields = results.flatMap((result) => {
      const locators = this.#locators(i, result.look);
      if (locators.length === 0) this.#lost(`the result ${result.name}`, result.look);
      return locators.length === 0 ? [] : [[result.name, { locators, matches: result.pattern }] as const];
    });
    const ready = fields
      .flatMap(([, { locators }]) => locators.slice(0, 1))
      .map((locator) => ({ kind: 'value', locator, matches: '[\\s\\S]+' }) as const);
    return { ready: together([...ready, ...this.#following(i).claims]), fields: Object.fromEntries(fields) };
  }

  /** Locators, identity and fingerprint as they hold for other values. */
  #element(i: number, look: Look) {
    const locators = this.#locators(i, look);
    if (locators.length === 0) {
      this.#lost('a step', look);
      return undefined;
    }
    const { data, isBound } = { data: this.#data, isBound: this.#isBound(look) };
    const { name, ...nameless } = look.identity;
    const isPlaced = this.#isAfterData(i) && isPositional(look) && look.identity.role !== 'textbox';
    const identity = isPlaced || name === undefined ? nameless : data.identity(look.identity);
    const css = locators.find((locator) => locator.by === 'css' && isSimple(locator));
    const print = data.fingerprint(look.fingerprint);
    const { id: _, testId: __, ...unbound } = print;
    const page = data.address(this.#events[i]?.before.url ?? '') ?? '{base}/';
    return {
      ...(css?.by === 'css' ? { target: css.selector } : {}),
      locators: [...locators],
      identities: [identity],
      fingerprint: isBound ? unbound : print,
      place: { page: patternOf(page), frames: look.frames.map((url) => patternOf(data.address(url) ?? 'elsewhere')) },
    };
  }

  #locators(i: number, look: Look): readonly Locator[] {
    const held = this.#data.locators(look.locators, this.#isBound(look));
    const lasting = held.filter((locator) => !isVolatile(JSON.stringify(locator)));
    const all = lasting.length > 0 ? lasting : held;
    // Beside a place that the spec names, words that follow from the data would find it on the recorded day alone.
    const isPlaced = this.#isAfterData(i) && isPositional(look);
    return isPlaced ? all.filter((locator, at) => at === 0 || locator.by === 'css') : all;
  }

  #lost(what: string, look: Look): void {
    const why = this.#isBound(look)
      ? 'it is found by an input in a way that another value could not be put into; getByRole, getByLabel, getByText and hasText can'
      : look.frames.length > 0
        ? 'it stands in a frame of another site'
        : 'nothing finds it and nothing else';
    this.problems.push(`${what} uses ${this.#data.template(look.code)}: ${why}.`);
  }

  /** Whether which element it is follows from an input. */
  #isBound({ code }: Look): boolean {
    const texts = [...code.matchAll(/'((?:[^'\\]|\\.)*)'/g)].map(([, text = '']) => text.replace(/\\(.)/g, '$1'));
    return texts.some((text) => this.#data.template(text) !== text);
  }

  /** A value of a run's was typed, chosen, or chose an element before. */
  #isAfterData(i: number): boolean {
    return this.#events.slice(0, i).some((event) => this.#isData(event));
  }

  /** The same, since this page was opened. */
  #isFormFilled(i: number): boolean {
    const { url } = this.#events[i]?.before ?? {};
    const since = this.#events.slice(0, i).findLastIndex(({ before }) => before.url !== url);
    return this.#events.slice(since + 1, i).some((event) => this.#isData(event));
  }

  #isData(event: RecordedEvent): boolean {
    if (event.kind !== 'act') return false;
    const { value } = event;
    const isTyped = value !== undefined && (this.#data.slotOf(value) ?? this.#data.template(value)) !== value;
    return isTyped || this.#isBound(event.look);
  }

  #stateAfter(i: number): PageSight | undefined {
    return this.#events[i + 1]?.before ?? this.#final;
  }

  /** The page once it has come to rest: what the last of the spec's own expectations saw. */
  #settledAfter(i: number): PageSight | undefined {
    let at = i + 1;
    while (
      ['expect', 'result'].includes(this.#events[at]?.kind ?? '') &&
      ['expect', 'result', 'act'].includes(this.#events[at + 1]?.kind ?? '')
    )
      at += 1;
    return this.#events[at]?.before ?? this.#final;
  }

  #following(i: number): { claims: readonly Condition[]; next: Locator | undefined } {
    const claims: Condition[] = [];
    for (const [j, event] of this.#events.entries()) {
      if (j <= i || event.kind === 'result') continue;
      if (event.kind === 'expect') {
        const claim = claimOf(event, () => this.#claimed(j, event), this.#data, this.#isAfterData(j));
        if (claim) claims.push(claim);
        continue;
      }
      const next = event.kind === 'act' && event.look.isVisible ? this.#locators(j, event.look)[0] : undefined;
      return { claims, next };
    }
    return { claims, next: undefined };
  }

  /** Of what a spec expects, only the spec's own words and what programs see: other words may follow from the data. */
  #claimed(j: number, event: Extract<RecordedEvent, { kind: 'expect' }>): Locator | undefined {
    const { look } = event;
    if (look === undefined) return undefined;
    const own = look.hasOwn
      ? look.locators.slice(0, 1)
      : look.locators.filter((locator) => locator.by === 'css' && !locator.selector.includes(' > '));
    const [locator] = this.#locators(j, { ...look, locators: own });
    return locator && isVolatile(JSON.stringify(locator)) ? undefined : locator;
  }

  #change(i: number, event: Act, own: Locator): Condition {
    const after = this.#settledAfter(i);
    return changeOf(
      {
        before: event.before,
        after,
        ...this.#following(i),
        isAfterData: this.#isAfterData(i),
        isFormFilled: this.#isFormFilled(i),
      },
      own,
      this.#data,
    );
  }

  /** By a selector where one tells ticked from unticked; what is chosen by an input is only known to be there. */
  #ticked(i: number, event: Act, locators: readonly Locator[]): Condition {
    const css = locators.find(
      (locator) => locator.by === 'css' && locator.nth === undefined && !locator.selector.includes(','),
    );
    const { claims, next } = this.#following(i);
    const isInput = event.look.identity.tag === 'input';
    if (css?.by !== 'css' || !isInput || (this.#stateAfter(i)?.isLastGone && event.look.isVisible)) {
      const [first] = locators;
      const seen = next ?? (event.look.isVisible ? first : undefined);
      const shown: Condition = { kind: 'visible', locator: seen ?? { by: 'css', selector: 'body' } };
      return together([shown, ...claims]);
    }
    const is = event.isChecked ?? true;
    const locator = {
      ...css,
      selector: `${css.selector}${event.look.isVisible === is ? ':checked' : ':not(:checked)'}`,
    };
    const own: Condition = event.look.isVisible
      ? { kind: 'visible', locator: { ...css, selector: `${css.selector}${is ? ':checked' : ':not(:checked)'}` } }
      : { kind: 'hidden', locator };
    return together([own, ...claims]);
  }

  /** The innermost `test.step` names an action that is alone in it; otherwise the action names itself. */
  #titled(i: number, sentence: string): string {
    const event = this.#events[i];
    const title = event?.steps.at(-1);
    if (event === undefined || title === undefined) return sentence;
    const inside = this.#events.filter(
      (other) =>
        (other.kind === 'act' || other.kind === 'navigate') &&
        event.steps.every((step, at) => other.steps[at] === step),
    );
    const held = this.#data.template(title);
    return inside.length === 1 ? held : `${held}: ${sentence.charAt(0).toLowerCase()}${sentence.slice(1)}`;
  }
}

/** Found by its place among others, or by what it looks like. */
function isPositional({ code }: Look): boolean {
  return /\.(?:nth|first|last)\(/.test(code) || /locator\('(?![^']*(?:#|\[(?:id|name|data-)))[^']*'\)$/.test(code);
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

function pathOf(url: string): string {
  return URL.parse(url)?.pathname ?? '';
}

function originOf(url: string): string {
  return URL.parse(url)?.origin ?? url.slice(0, 40);
}
