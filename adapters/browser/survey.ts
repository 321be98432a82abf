import { randomUUID } from 'node:crypto';
import type { ElementHandle, Frame, JSHandle } from 'playwright';
import { z } from 'zod';
import type { Candidate, Fingerprint, Survey } from '../../core/ports/browser.ts';
import { isPassing } from './errors.ts';
import { type Described, describeElements, type SurveyQuestion, TEST_ID_ATTRIBUTES } from './in-page-fingerprint.ts';

const MOST = 500;

/**
 * What may come out of a page: it can have replaced whatever the description there is made with. Longer or stranger than
 * the program's own description ever is, it is none.
 */
const WORDS = z.string().max(500).optional();
const LENGTH = z.number();
const FINGERPRINT = z.strictObject({
  tag: z.string().max(100),
  ...{ type: WORDS, role: WORDS, name: WORDS, text: WORDS, id: WORDS, testId: WORDS, fieldName: WORDS },
  ...{ placeholder: WORDS, title: WORDS, alt: WORDS, group: WORDS, href: WORDS },
  classes: z.array(z.string().max(2_000)).max(12).optional(),
  neighbours: z.array(z.string().max(500)).max(4).optional(),
  path: z.array(z.string().max(500)).max(8).optional(),
  box: z.strictObject({ x: LENGTH, y: LENGTH, width: LENGTH, height: LENGTH }).optional(),
});
const PRINTS = z.array(FINGERPRINT).max(MOST + 1);

/** The controls of a page by their keys, until the next survey. */
export interface Surveyor {
  /** One more candidate beside those of the last survey. */
  add(handle: ElementHandle): Promise<Candidate | undefined>;
  survey(frames: readonly Frame[], wanted: Survey): Promise<readonly Candidate[]>;
  /** The candidate's element and what it is now, unless the page has replaced it or it has become something else. */
  pick(candidate: Candidate): Promise<{ readonly handle: ElementHandle; readonly print: Fingerprint } | undefined>;
}

/** @param hide takes secrets out of words; no fingerprint leaves without it. */
export function createSurveyor(hide: (words: string) => string): Surveyor {
  let documents: readonly JSHandle<Described>[] = [];
  const single = new Map<string, ElementHandle>();

  async function handleOf(key: string): Promise<ElementHandle | undefined> {
    const known = single.get(key);
    if (known) return known;
    const [document, index] = key.split(':').map(Number);
    const described = documents[document ?? -1];
    if (!described || index === undefined) return undefined;
    return (await described.evaluateHandle(({ elements }, i) => elements[i], index)).asElement() ?? undefined;
  }

  return {
    async add(handle) {
      const raw = await fingerprintOf(handle);
      if (!raw) return undefined;
      const [fingerprint = raw] = withoutSecrets([raw], hide);
      const key = `at ${randomUUID()}`;
      single.set(key, handle);
      return { key, fingerprint };
    },

    async survey(frames, { hiddenIsFine = false, alsoTag }) {
      for (const document of documents) void document.dispose().catch(() => undefined); // gone with its page
      const surveyed: JSHandle<Described>[] = [];
      documents = surveyed;
      single.clear();
      const candidates: Candidate[] = [];
      for (const frame of frames) {
        const most = MOST - candidates.length;
        if (most <= 0) break;
        const question: SurveyQuestion = { hiddenIsFine, alsoTag: alsoTag ?? null, most, testIds: TEST_ID_ATTRIBUTES };
        const looked = await lookOver(frame, question);
        if (!looked) continue;
        const { document } = looked;
        const prints = withoutSecrets(looked.prints, hide);
        const number = surveyed.push(document) - 1;
        candidates.push(...prints.map((fingerprint, i) => ({ key: `${number}:${i}`, fingerprint })));
      }
      return candidates;
    },

    async pick({ key, fingerprint }) {
      const handle = await handleOf(key);
      if (!handle) return undefined;
      const raw = await fingerprintOf(handle);
      const [now] = raw ? withoutSecrets([raw], hide) : [];
      const isIt = raw && now && isSame(now, fingerprint) && (await isTold(handle, raw));
      return isIt ? { handle, print: raw } : undefined;
    },
  };
}

/** `undefined` for a frame that is just going away: it has no controls any more. */
async function lookOver(frame: Frame, question: SurveyQuestion) {
  try {
    const document = await frame.evaluateHandle(describeElements, question);
    return { document, prints: printsIn(await document.evaluate((described) => described.prints)) };
  } catch (error) {
    if (isPassing(error)) return undefined;
    throw error;
  }
}

/** None at all when one of them is not what a description looks like: the page made it. */
function printsIn(found: unknown): readonly Fingerprint[] {
  const { data = [] } = PRINTS.safeParse(found);
  return data as readonly Fingerprint[]; // as the schema says; properties that are absent stay so
}

/** Whether the words of the description are those that the browser itself sees there, in a world of its own. */
async function isTold(handle: ElementHandle, { tag, text = '' }: Fingerprint): Promise<boolean> {
  if (/^(input|textarea|select|svg)$/.test(tag)) return true; // what these hold is no description of them
  const seen = await handle.innerText().catch(() => '');
  const words = seen
    .slice(0, 20 * LONGEST_WORDS)
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, LONGEST_WORDS);
  return words === '' || text === '' || words === text;
}

/** As in-page-fingerprint.ts cuts them, in characters. */
const LONGEST_WORDS = 120;

/** What the element is now; `undefined` when its page has let go of it. */
export async function fingerprintOf(handle: ElementHandle): Promise<Fingerprint | undefined> {
  const question: SurveyQuestion = { hiddenIsFine: true, alsoTag: null, most: 1, testIds: TEST_ID_ATTRIBUTES };
  const described = await handle.evaluate(describeElements, question).catch((error: unknown) => {
    if (isPassing(error)) throw error;
    return undefined; // the page had replaced what the description is made with
  });
  return printsIn(described?.prints)[0];
}

/** One look at all of them; each by itself only where something is to be hidden. */
function withoutSecrets(prints: readonly Fingerprint[], hide: (words: string) => string): readonly Fingerprint[] {
  const all = JSON.stringify(prints);
  if (hide(all) === all) return prints;
  const clean = (_: string, value: unknown) => (typeof value === 'string' ? hide(value) : value);
  return JSON.parse(JSON.stringify(prints, clean)); // the same shape with other texts
}

/** Whether it is still the same control: numbers in its words may count on. */
export function isSame(a: Fingerprint, b: Fingerprint): boolean {
  const words = ({ text = '', href = '' }: Fingerprint) => `${text.replace(/\d+/g, '0')} ${href}`;
  const isAlike = a.tag === b.tag && a.type === b.type && a.role === b.role && a.name === b.name && a.group === b.group;
  return isAlike && words(a) === words(b);
}
