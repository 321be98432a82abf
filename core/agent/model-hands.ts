import type { Candidate, FoundElement, Shot } from '../ports/browser.ts';
import type { ActionResult, ModelAction, ModelHands, ModelTarget } from '../ports/model.ts';
import { redact } from '../redaction.ts';
import { act, touch } from './act.ts';
import { isDiscarded } from './discarded.ts';
import type { Failed } from './failures.ts';
import { keyRefusal, plainWordsIn, refusal } from './gate.ts';
import type { Pointed } from './model-rung.ts';
import { barePicture } from './picture.ts';
import type { Stage, StepModel } from './stage.ts';

/** The step's own action stands for its value, which the model is never told. */
export const VALUE = '{{value}}';

const SETTLE_MS = 5_000; // what a click leads to comes within this, or the model looks again
const LONGEST_WAIT_MS = 3_000;
const MOST_HITS = 20;
const LONGEST_READING = 50_000; // the vendor's own reading tool returns no more
/** Keys that move about and change nothing. */
const HARMLESS = /^((shift\+)?tab|escape|esc|(arrow_?)?(up|down|left|right)|page_?(up|down)|home|end)$/i;

export type Outcome =
  | { readonly kind: 'acted'; readonly element: FoundElement; readonly picture?: Shot }
  | { readonly kind: 'failed'; readonly failed: Failed };

/** As the model says it, or as it was looked up already; nothing said is what has the keyboard. */
type Place = ModelTarget | Candidate | undefined;

const done = (text?: string): ActionResult => ({ kind: 'done', ...(text === undefined ? {} : { text }) });
const refused = (text: string): ActionResult => ({ kind: 'refused', text });

/** What a model's wishes come to: each is checked by the page as it is, by the step, and by the guard before it acts. */
export function createHands(
  stage: Stage,
  wanted: Pointed,
  { reserve }: StepModel,
): ModelHands & { outcome(): Outcome | undefined } {
  const { session } = stage.run;
  let refs = new Map<string, Candidate>();
  let numbered = 0;
  let outcome: Outcome | undefined;
  let hasActedSinceAsked = false;

  /** Words for the model without any secret that the run knows; what can't be checked isn't shown. */
  const shown = (text: string): string => redact(text, stage.run.knownSecrets());

  async function read(pick: (all: readonly Candidate[]) => readonly Candidate[]): Promise<string> {
    const all = await stage.during(() => session.survey({}));
    refs = new Map();
    const lines = pick(all).map((candidate) => {
      const ref = `ref_${++numbered}`;
      refs.set(ref, candidate);
      return `[${ref}] ${lineOf(candidate)}`;
    });
    return shown(lines.join('\n')).slice(0, LONGEST_READING) || 'No controls.';
  }

  async function resolve(target: Place): Promise<Candidate | string> {
    if (target !== undefined && 'key' in target) return target;
    if (target?.by === 'ref') {
      return refs.get(target.ref) ?? 'Refused: this reference is not of the last reading. Read the page again.';
    }
    const place = target === undefined ? 'focus' : { x: target.x, y: target.y };
    return (await stage.during(() => session.controlAt(place))) ?? 'Refused: there is no control at this place.';
  }

  async function picked(target: Place): Promise<{ candidate: Candidate; element: FoundElement } | string> {
    const candidate = await resolve(target);
    if (typeof candidate === 'string') return candidate;
    const element = await stage.during(() => session.pick(candidate));
    return element ? { candidate, element } : 'Refused: the page has changed. Look again.';
  }

  /** The step's own action, wherever the model sees it. */
  async function own(target: Place): Promise<ActionResult> {
    const found = await picked(target);
    if (typeof found === 'string') return refused(found);
    const { candidate, element } = found;
    const { recorded, does } = wanted;
    const why = refusal({ recorded, candidate: candidate.fingerprint, purpose: 'own', does });
    if (why !== undefined) return refused(why);
    if (await isDiscarded(stage, element))
      return refused('Refused: a person has said that this is not the control that the step needs.');
    const picture = await wanted.before?.(element.box);
    const failed = await wanted.perform(element);
    if (failed?.failure === 'element_missing') return refused('Refused: the page has changed. Look again.');
    outcome = failed ? { kind: 'failed', failed } : { kind: 'acted', element, ...(picture ? { picture } : {}) };
    hasActedSinceAsked = true;
    return failed || wanted.isFinal ? { kind: 'over' } : done('Done.');
  }

  async function clickOnTheWay(target: Place): Promise<ActionResult> {
    const found = await picked(target);
    if (typeof found === 'string') return refused(found);
    const { recorded } = wanted;
    const why = refusal({ recorded, candidate: found.candidate.fingerprint, purpose: 'way', does: 'click' });
    if (why !== undefined) return refused(why);
    const failed = await act(stage, found.element, { kind: 'click' });
    return failed ? refused('The control did not take the click.') : done('Clicked.');
  }

  /** A click is the step's own where the step clicks; elsewhere it only clears the way. */
  async function click(target: ModelTarget): Promise<ActionResult> {
    if (wanted.does === 'field') return clickOnTheWay(target);
    if (wanted.isFinal) return own(target);
    const candidate = await resolve(target);
    if (typeof candidate === 'string') return refused(candidate);
    const { recorded, does } = wanted;
    const fits = refusal({ recorded, candidate: candidate.fingerprint, purpose: 'own', does }) === undefined;
    return fits ? own(candidate) : clickOnTheWay(candidate);
  }

  async function key(keys: string): Promise<ActionResult> {
    const { step } = stage;
    if (step.kind === 'press' && keys.toLowerCase() === step.value.toLowerCase()) return own(undefined);
    if (!HARMLESS.test(keys)) return refused('Refused: only keys that move about may be pressed.');
    const found = await picked(undefined);
    if (typeof found === 'string') return refused(found);
    const why = keyRefusal(keys, found.candidate.fingerprint);
    if (why !== undefined) return refused(why);
    const failed = await touch(stage, found.element, { kind: 'press', key: chordOf(keys) });
    return failed ? refused('The page did not take the key.') : done('Pressed.');
  }

  async function perform(action: ModelAction): Promise<ActionResult> {
    // How long the model thought is not the page's time; after the one click that is final it runs from there.
    if (!(wanted.isFinal && stage.hasActed)) stage.restartDeadline();
    switch (action.kind) {
      case 'screenshot': {
        const picture = await barePicture(stage);
        return picture ? { kind: 'done', picture } : done('There is no picture: what must be hidden could not be.');
      }
      case 'read':
        return done(
          action.what === 'text'
            ? shown(await stage.during(() => session.text())) || 'No text.'
            : await read((all) => all),
        );
      case 'find':
        return done(await read((all) => bestFor(action.query, all)));
      case 'click':
        return click(action.at);
      case 'type':
        if (wanted.does !== 'field') return refused('Refused: this step types nothing.');
        if (action.text !== VALUE)
          return refused(`Refused: only ${VALUE} may be typed; it stands for the step’s value.`);
        return own(action.at);
      case 'choose':
      case 'tick':
        // Which option, and whether ticked, is the step's to say.
        return wanted.does === 'field' ? own(action.at) : refused('Refused: this step chooses nothing.');
      case 'key':
        return action.times === 1 ? key(action.keys) : refused('Refused: one key at a time.');
      case 'scroll': {
        const over = action.at && (await picked(action.at));
        if (typeof over === 'string') return refused(over);
        await stage.during(() => session.scroll(action.deltaY, over?.element));
        return done('Scrolled.');
      }
      case 'hover': {
        const found = await picked(action.at);
        if (typeof found === 'string') return refused(found);
        const failed = await touch(stage, found.element, { kind: 'hover' });
        return failed ? refused('The control could not be pointed at.') : done('Pointed at it.');
      }
      case 'navigate':
        return refused('Refused: addresses are the plan’s to choose.');
      case 'wait':
        await wanted.isSettled(Math.min(action.ms, LONGEST_WAIT_MS));
        return done('Waited.');
      default:
        return action satisfies never;
    }
  }

  return {
    perform,
    async isOver() {
      if (outcome?.kind === 'failed') return true;
      if (!hasActedSinceAsked) return false;
      hasActedSinceAsked = false;
      return wanted.isSettled(SETTLE_MS);
    },
    reserve,
    async where() {
      const { url, title } = await stage.during(() => session.state());
      const { origin, pathname } = new URL(url);
      return { url: shown(origin === 'null' ? '' : origin + pathname), title: shown(title) };
    },
    outcome: () => outcome,
  };
}

function lineOf({ fingerprint }: Candidate): string {
  const { role, tag, type, name, placeholder, group, neighbours, href } = fingerprint;
  const words = name ?? placeholder ?? '';
  const beside = neighbours?.length ? ` (beside: ${neighbours.slice(0, 2).join(' · ')})` : '';
  const kind = type === 'password' ? 'password field' : (role ?? tag);
  const leads = href === undefined ? '' : ` → ${URL.parse(href, 'http://site.invalid')?.pathname ?? ''}`;
  return `${kind} "${words}"${group === undefined ? '' : ` of "${group}"`}${leads}${beside}`;
}

/** Those that share words with the query; best first. */
function bestFor(query: string, all: readonly Candidate[]): readonly Candidate[] {
  const asked = new Set(plainWordsIn(query));
  const hits = ({
    fingerprint: { tag, type = '', role = '', name = '', text = '', placeholder = '', group = '', neighbours = [] },
  }: Candidate) =>
    plainWordsIn([tag, type, role, name, text, placeholder, group, ...neighbours].join(' ')).filter((word) =>
      asked.has(word),
    ).length;
  return all
    .map((candidate) => ({ candidate, hits: hits(candidate) }))
    .filter((one) => one.hits > 0)
    .sort((a, b) => b.hits - a.hits)
    .slice(0, MOST_HITS)
    .map(({ candidate }) => candidate);
}

/** Playwright's names for the keys that both toolsets spell in their own ways. */
function chordOf(keys: string): string {
  const names: Readonly<Record<string, string>> = {
    ...{
      tab: 'Tab',
      escape: 'Escape',
      esc: 'Escape',
      home: 'Home',
      end: 'End',
      pageup: 'PageUp',
      pagedown: 'PageDown',
    },
    ...{ up: 'ArrowUp', down: 'ArrowDown', left: 'ArrowLeft', right: 'ArrowRight', shift: 'Shift' },
    ...{ arrowup: 'ArrowUp', arrowdown: 'ArrowDown', arrowleft: 'ArrowLeft', arrowright: 'ArrowRight' },
  };
  return keys
    .split('+')
    .map((part) => names[part.toLowerCase().replace('_', '')] ?? part)
    .join('+');
}
