import type { Secret } from '../secret.ts';
import type { Origin } from './http.ts';

/** A real browser. One `open` is one fresh context: no cookie, no storage, its own egress proxy port. */
export interface Browser {
  open(options: BrowserSessionOptions): Promise<BrowserSession>;
  /** Ends the browser; open sessions die with it. */
  close(): Promise<void>;
}

export interface BrowserSessionOptions {
  /** What `storage` of an earlier session gave: cookies and stored values, as good as a sign-in. */
  readonly storage?: Secret;
  /**
   * Whom it works for, such as an operation's id: a browser that an earlier session of the same owner has left running on
   * this machine, also one of another process, is ended first.
   */
  readonly owner?: string;
  /** Everything the pages may talk to. */
  readonly origins: readonly Origin[];
  /**
   * Takes secrets out of the words that pages say: titles, names of elements, addresses, incidents, errors. Only `read`
   * gives what stands there. Without it words leave as they are.
   */
  readonly hide?: (words: string) => string;
}

/** How to find an element, as data. `exact` matches the whole name, case-sensitively. */
export type Locator = LocatorRule & {
  readonly within?: Locator;
  /** Only elements that hold this text, in any case. */
  readonly hasText?: string;
  /** The one at this place among those, from 0; −1 is the last. */
  readonly nth?: number;
};
export type LocatorRule =
  | { readonly by: 'role'; readonly role: string; readonly name?: string; readonly exact?: boolean }
  | { readonly by: 'label'; readonly text: string; readonly exact?: boolean }
  | { readonly by: 'placeholder'; readonly text: string; readonly exact?: boolean }
  | { readonly by: 'text'; readonly text: string; readonly exact?: boolean }
  | { readonly by: 'css'; readonly selector: string };

/** What an element is, to tell it from another one that a stale locator finds. */
export interface ElementIdentity {
  /** Lower-case tag name. */
  readonly tag: string;
  /** `type` of an input or button, lower case. */
  readonly type?: string;
  /** ARIA role, computed. */
  readonly role?: string;
  /** Accessible name, white space folded. */
  readonly name?: string;
}

/** An element on the live page; good until the page goes away. */
export interface FoundElement {
  readonly handle: string;
  /** The recorded locator that found it; absent when something else did. */
  readonly locator?: Locator;
  readonly identity: ElementIdentity;
  /** CSS pixels of the viewport; `null` when nothing of it is rendered. */
  readonly box: Box | null;
}

/**
 * What an element was when it was recorded, or what a candidate is now: everything that tells it from its neighbours.
 * Absent means "has none". Never a field's value: it may be a secret.
 */
export interface Fingerprint {
  /** Lower-case tag name. */
  readonly tag: string;
  /** `type` of an input or button, lower case. */
  readonly type?: string;
  /** ARIA role, computed. */
  readonly role?: string;
  /** Accessible name. */
  readonly name?: string;
  /** Visible text of the element itself. */
  readonly text?: string;
  readonly id?: string;
  /** `data-testid` and its kin. */
  readonly testId?: string;
  /** The attribute `name` of a form field. */
  readonly fieldName?: string;
  readonly placeholder?: string;
  readonly title?: string;
  readonly alt?: string;
  /** Of a choice: the accessible name of the group that it is one of, as the row of a form whose rows offer the same. */
  readonly group?: string;
  /** The link's address, as written. */
  readonly href?: string;
  readonly classes?: readonly string[];
  /** Words that stand close by: labels, the cell to the left, the heading above; nearest first. */
  readonly neighbours?: readonly string[];
  /** Landmarks and groups around it, outermost first, as `role name`, and the row that it is in, as `row` and its first words. */
  readonly path?: readonly string[];
  /** In CSS pixels from the top left of its document, in a viewport of 1280 × 800. */
  readonly box?: Box;
}

/** An element that may be what a step looks for. */
export interface Candidate {
  /** For `pick`; good until the next survey. */
  readonly key: string;
  readonly fingerprint: Fingerprint;
}

export interface Survey {
  /** Also what isn't shown, such as the `select` behind a widget. */
  readonly hiddenIsFine?: boolean;
  /** Beside controls also elements of this tag: a step may have been recorded on any element. */
  readonly alsoTag?: string;
}

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface FindOptions {
  readonly timeoutMs: number;
  readonly hiddenIsFine?: boolean;
  /** For `read` alone: of what it is only tag and type are asked, its place is not, and `act` does nothing to it. */
  readonly isOnlyRead?: boolean;
}

/** `missing` and `ambiguous` after the whole `timeoutMs`: every locator was tried, again and again. */
export type FindResult =
  | { readonly kind: 'found'; readonly element: FoundElement }
  | { readonly kind: 'missing' }
  | { readonly kind: 'ambiguous'; readonly locator: Locator; readonly count: number };

/** What is done to an element: values, never text to evaluate. */
export type Action =
  /** `opensPage`: the page that it opens on an allowed address, in a window of its own, becomes the current one. */
  | { readonly kind: 'click'; readonly opensPage?: boolean }
  /** Only points at it, as menus that open by that want it. */
  | { readonly kind: 'hover' }
  | { readonly kind: 'fill'; readonly value: string | Secret }
  /** Chooses the option with this value or, if there is none, this exact text; works on a hidden `select` behind a widget. */
  | { readonly kind: 'select'; readonly option: string }
  | { readonly kind: 'check'; readonly isChecked: boolean }
  /** A key or chord in Playwright's words, such as `Enter` or `Control+A`. */
  | { readonly kind: 'press'; readonly key: string };

/** A claim about the page that code can check. */
export type Condition =
  /** `path` compares the whole path, `query` holds every pair; hosts are compared by the engine's allow-list. */
  | { readonly kind: 'url'; readonly path?: string; readonly query?: Readonly<Record<string, string>> }
  | { readonly kind: 'visible'; readonly locator: Locator }
  | { readonly kind: 'hidden'; readonly locator: Locator }
  /** The element's value (fields) or text; `equals` or `matches` (a regular expression without flags, anchored). */
  | { readonly kind: 'value'; readonly locator: Locator; readonly equals?: string; readonly matches?: string }
  /** Whether the box, radio button or switch is ticked. */
  | { readonly kind: 'checked'; readonly locator: Locator; readonly is: boolean }
  | { readonly kind: 'all'; readonly of: readonly Condition[] }
  | { readonly kind: 'any'; readonly of: readonly Condition[] };

/** Claims of which some are about an element at hand, whatever its locators find by now. Never read from outside. */
export type LiveCondition =
  | Condition
  /** `is` a pattern or text: the element's value (fields) or text, as in `value`. An element that is gone is hidden. */
  | { readonly kind: 'element'; readonly handle: string; readonly is: ElementClaim }
  | { readonly kind: 'all'; readonly of: readonly LiveCondition[] }
  | { readonly kind: 'any'; readonly of: readonly LiveCondition[] };
export type ElementClaim = 'visible' | 'hidden' | 'checked' | 'unchecked' | ValueClaim;
export interface ValueClaim {
  readonly equals?: string;
  readonly matches?: string;
}

/** What is known of an element at hand, for finding it again. */
export interface Description {
  readonly fingerprint: Fingerprint;
  readonly identity: ElementIdentity;
  /** Each finds this element alone, on the page as it is now; best first, never empty. */
  readonly locators: readonly Locator[];
}

export interface PageState {
  /** Its origin alone beyond 2,000 characters or with a secret in it; `about:blank` where that can't be said either. */
  readonly url: string;
  /** The first 300 characters. */
  readonly title: string;
}

/** The pages of one operation. Every call has a deadline; a dead browser throws `browser_crashed`. */
export interface BrowserSession {
  /**
   * Goes to an address of the session's origins and waits for its document.
   * @throws CountersignError `egress_refused` (scheme or origin not allowed, nothing sent), `network`, `browser_crashed`.
   */
  navigate(url: string, timeoutMs: number): Promise<PageState>;
  /** The page's address, as in `state`, without asking the page. */
  address(): string;
  state(): Promise<PageState>;
  /** The first locator, in order, that finds exactly one element; visible unless `hiddenIsFine`. */
  find(locators: readonly Locator[], options: FindOptions): Promise<FindResult>;
  /**
   * Every control that is on the page now, in its frames on the session's origins and in open shadow roots: at most 500,
   * in the document's order. No text of it is a field's value.
   */
  survey(wanted: Survey): Promise<readonly Candidate[]>;
  /** The candidate as an element to act on; `undefined` when the page has replaced it. */
  pick(candidate: Candidate): Promise<FoundElement | undefined>;
  /** The control under a point of the viewport, in CSS pixels, or the one that has the keyboard; for `pick`. */
  controlAt(place: { readonly x: number; readonly y: number } | 'focus'): Promise<Candidate | undefined>;
  /** The text that shows, in the frames on the session's origins; never what fields hold. Its first 50,000 characters. */
  text(): Promise<string>;
  /** Turns the mouse's wheel over an element or the middle of the page; positive is down. In CSS pixels. */
  scroll(deltaY: number, over?: FoundElement): Promise<void>;
  /** Describes an element at hand; `undefined` when no locator finds it alone. Changes nothing. */
  describe(element: FoundElement): Promise<Description | undefined>;
  /** Everything that is known of an element at hand; `undefined` when it has left the page. */
  fingerprint(element: FoundElement): Promise<Fingerprint | undefined>;
  /** Where the element stands now; `null` when nothing of it is rendered or the page has replaced it. */
  boxOf(element: FoundElement): Promise<Box | null>;
  /**
   * Waits until the element would take the action at once (a click: it shows, is enabled, rests, and nothing lies over
   * it). Points at it and does nothing else. @throws CountersignError `network` when that isn't so in time,
   * `element_stale` when the page has replaced it.
   */
  ready(element: FoundElement, action: Action, timeoutMs: number): Promise<void>;
  /**
   * Refuses to put a Secret into anything but a field on one of `origins`. @throws CountersignError `network` when the
   * element didn't take it in time, `element_stale` when the page had replaced it before anything was sent to it.
   */
  act(element: FoundElement, action: Action, timeoutMs: number): Promise<void>;
  /** The live value of a field, else the rendered text; its first 10,000 characters. */
  read(element: FoundElement): Promise<string>;
  /** Waits until one of the conditions holds. @returns its index, or `undefined` after `timeoutMs`. */
  waitFor(conditions: readonly LiveCondition[], timeoutMs: number): Promise<number | undefined>;
  /** Takes a masked picture; what is under a mask never leaves the adapter. Drawn on our own page, never in the vendor's. */
  picture(options: PictureOptions): Promise<PictureResult>;
  /** The same, given back once it is taken: what comes after is not on it, and need not wait until it is drawn. */
  shoot(options: PictureOptions): Promise<Shot>;
  /** Cookies and what pages have stored: with it a later session is signed in as this one. A secret like a password. */
  storage(): Promise<Secret>;
  /** Dialogs, popups, downloads and addresses that were refused since the last call, in words without secrets. */
  incidents(): readonly string[];
  close(): Promise<void>;
}

export interface PictureOptions {
  /** Exact values to hide wherever they show, in any frame or shadow root, also base64 or URL-encoded. */
  readonly secrets: readonly Secret[];
  /** A fresh secret is on the page: also hide read-only fields, canvases, images and copy attributes. */
  readonly isRevealing: boolean;
  /** The red box. */
  readonly highlight?: Box;
  /** Absent: the viewport alone, pixel for pixel, as a model that points at it needs it. */
  readonly caption?: { readonly number: number; readonly sentence: string; readonly detail: string };
}

/** A picture that is taken and may still be being drawn. */
export interface Shot {
  /** Never rejects. */
  readonly drawn: Promise<PictureResult>;
}

/** `withheld`: what must be hidden would not hold still or could not be found for sure, so there is no picture. */
export type PictureResult =
  | { readonly kind: 'taken'; readonly picture: Picture }
  | { readonly kind: 'withheld'; readonly reason: string };

export interface Picture {
  readonly bytes: Buffer;
  readonly mediaType: 'image/jpeg' | 'image/png' | 'image/webp';
  readonly width: number;
  readonly height: number;
  /** What was blackened, in pixels of this picture. */
  readonly masks: readonly Box[];
}
