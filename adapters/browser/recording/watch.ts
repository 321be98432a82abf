import { AsyncLocalStorage } from 'node:async_hooks';
import type { Browser, ElementHandle, Frame, Page, Locator as PlaywrightLocator } from 'playwright';
import type { Look } from '../../../core/workflow/recording.ts';
import { LONGEST_TEXT, liveText, tagAndType } from '../in-page.ts';
import { lookAt } from './look.ts';
import { currentTape, type NewEvent, type Tape } from './tape.ts';

type Method = (this: unknown, ...args: unknown[]) => unknown;
type Methods = Record<string, Method | undefined>;
type Act = Extract<NewEvent, { kind: 'act' }>;

const ATTACH_MS = 15_000;
const SHOW_MS = 5_000;
const MARK = 'data-recorded-mark-';

let isWatching = false;
/** Set while an action runs: what Playwright calls to carry it out is no action of the spec's. */
const inside = new AsyncLocalStorage<true>();

/**
 * Puts a note before everything that pages do, whoever asks for it: `page.click`, `locator.click`, page objects and
 * helpers all end in a method of the frame's. Once a process.
 */
export async function watch(browser: Browser): Promise<void> {
  if (isWatching) return;
  isWatching = true;
  const context = await browser.newContext();
  const page = await context.newPage();
  const body = await page.$('body');
  const [pages, frames] = [methodsOf(page), methodsOf(page.mainFrame())];
  const elements = body ? methodsOf(body) : {};
  for (const [name, noted] of Object.entries(ACTIONS)) {
    wrap(frames, name, (tape, frame, args) => onFrame(tape, frame as Frame, args, noted)); // the method's own object
    wrap(elements, name, (tape, element, args) => onElement(tape, element as ElementHandle, args, noted)); // as above
  }
  wrap(frames, 'goto', (tape, frame, [url]) => openPage(tape, (frame as Frame).page(), String(url))); // as above
  for (const name of ['dragAndDrop', 'setInputFiles'])
    wrap(frames, name, (tape, frame) => cannot(tape, (frame as Frame).page(), name)); // as above
  wrap(elements, 'setInputFiles', async () => ({}));
  for (const name of ['hover', 'dispatchEvent'])
    wrap(frames, name, (tape, frame) => cannot(tape, (frame as Frame).page(), name, true)); // as above
  for (const name of ['goBack', 'goForward', 'reload'])
    wrap(pages, name, async (tape, page) => ({ after: () => moved(tape, page as Page) })); // as above
  watchKeyboard(methodsOf(page.keyboard), page);
  watchMouse(methodsOf(page.mouse), page);
  await context.close();
}

/** What an action is in our words. `undefined`: nothing to note, as for a trial. */
type Noted = (
  args: readonly unknown[],
  element: ElementHandle,
) => Promise<Omit<Act, 'kind' | 'look' | 'hasSent'> | string>;

const ACTIONS: Readonly<Record<string, Noted>> = {
  click: clicked,
  tap: clicked,
  dblclick: async () => 'a double click',
  fill: async ([value]) => ({ action: 'fill', value: String(value) }),
  type: async ([value]) => ({ action: 'fill', value: String(value) }),
  press: async ([key]) => ({ action: 'press', value: String(key) }),
  selectOption: chosen,
  check: async () => ({ action: 'check', isChecked: true }),
  uncheck: async () => ({ action: 'check', isChecked: false }),
  setChecked: async ([isChecked]) => ({ action: 'check', isChecked: isChecked === true }),
};

/** A click on a box or a radio button is recorded as what it leads to: replayed on a box that is ticked already, it unticks nothing. */
async function clicked(args: readonly unknown[], element: ElementHandle) {
  const options = args[0] as { button?: string; clickCount?: number } | undefined; // Playwright's own options
  if (options?.button !== undefined && options.button !== 'left') return `a click with the ${options.button} button`;
  if ((options?.clickCount ?? 1) > 1) return 'a double click';
  const { tag, type } = await element.evaluate(tagAndType);
  if (tag !== 'input' || (type !== 'checkbox' && type !== 'radio')) return { action: 'click' } as const;
  return { action: 'check', isChecked: type === 'radio' || !(await element.isChecked()) } as const;
}

async function chosen([wanted]: readonly unknown[], element: ElementHandle) {
  const options = Array.isArray(wanted) ? wanted : [wanted];
  if (options.length !== 1) return 'the choice of several options at once';
  const [option] = options as unknown[];
  if (typeof option === 'string') return { action: 'select', value: option } as const;
  const { value, label, index } = (option ?? {}) as { value?: string; label?: string; index?: number }; // as Playwright takes it
  if (value !== undefined || label !== undefined) return { action: 'select', value: String(value ?? label) } as const;
  const nth = await element.evaluate((node, at) => {
    const { options: all } = node as unknown as { options?: ArrayLike<{ value: string }> }; // a select, or nothing is chosen
    return all?.[at]?.value;
  }, index ?? -1);
  return nth === undefined ? 'a choice of something that is no option' : ({ action: 'select', value: nth } as const);
}

interface Notes {
  /** Runs once the action has succeeded. */
  readonly after?: () => Promise<void>;
}

function wrap(
  methods: Methods,
  name: string,
  note: (tape: Tape, on: unknown, args: unknown[]) => Promise<Notes>,
): void {
  const original = methods[name];
  if (original === undefined) return;
  methods[name] = async function (this: unknown, ...args: unknown[]) {
    const tape = inside.getStore() ? undefined : currentTape();
    if (tape === undefined) return original.apply(this, args);
    return inside.run(true, async () => {
      const { after } = await note(tape, this, args);
      const answer = await original.apply(this, args);
      await after?.();
      return answer;
    });
  };
}

async function onFrame(tape: Tape, frame: Frame, args: unknown[], noted: Noted): Promise<Notes> {
  const [selector, ...rest] = args;
  const options = (rest.findLast((one) => typeof one === 'object') ?? {}) as { strict?: boolean; timeout?: number }; // as above
  const all = frame.locator(String(selector));
  const written = options.strict ? all : all.first();
  const element = await written.elementHandle({ timeout: options.timeout ?? ATTACH_MS }).catch(() => null);
  if (!element) return {}; // the action itself tells why
  return acted(tape, element, options.strict ? written : await singled(all), rest, noted);
}

/** `page.click(selector)` takes the first of several. */
async function singled(all: PlaywrightLocator): Promise<PlaywrightLocator> {
  return (await all.count()) === 1 ? all : all.first();
}

async function onElement(tape: Tape, element: ElementHandle, args: unknown[], noted: Noted): Promise<Notes> {
  const frame = await element.ownerFrame();
  const path = await element.evaluate(markElement);
  if (!frame) return {};
  try {
    return await acted(tape, element, frame.locator(`[${path}]`), args, noted, true);
  } finally {
    await element.evaluate(unmarkElement, path);
  }
}

async function acted(
  tape: Tape,
  element: ElementHandle,
  written: PlaywrightLocator,
  args: unknown[],
  noted: Noted,
  isMarked = false,
): Promise<Notes> {
  const options = (args.findLast((one) => typeof one === 'object') ?? {}) as { trial?: boolean; force?: boolean }; // as above
  if (options.trial) return {};
  const page = (await element.ownerFrame())?.page();
  if (!page) return {};
  if (!options.force) await element.waitForElementState('visible', { timeout: SHOW_MS }).catch(() => undefined);
  const action = await noted(args, element);
  if (typeof action === 'string') return cannot(tape, page, action);
  const hiddenIsFine = action.action === 'select' || action.action === 'check';
  const look = await lookAt(element, written, { origins: tape.origins(page), hiddenIsFine });
  if (!look) return {};
  const seen = isMarked ? withoutMark(look) : look;
  const event = await tape.add(page, { kind: 'act', ...action, look: seen, hasSent: false }, element);
  if (event.kind !== 'act' || !['fill', 'select'].includes(action.action)) return {};
  return {
    async after() {
      const value = await element.evaluate(liveText, LONGEST_TEXT).catch(() => undefined); // gone with what it was typed into
      if (value !== undefined) event.valueAfter = value;
    },
  };
}

/** The mark that it was pointed at by is gone with the action. */
function withoutMark(look: Look): Look {
  const locators = look.locators.filter((locator) => !JSON.stringify(locator).includes(MARK));
  return { ...look, locators, hasOwn: false, code: 'the element at hand' };
}

async function openPage(tape: Tape, page: Page, address: string): Promise<Notes> {
  const url = URL.parse(address, tape.base === undefined ? undefined : `${tape.base}/`) ?? URL.parse(address);
  if (tape.base === undefined && url !== null && /^https?:$/.test(url.protocol)) tape.base = url.origin;
  follow(tape, page);
  await tape.add(page, { kind: 'navigate', url: url?.href ?? address });
  return {};
}

async function moved(tape: Tape, page: Page): Promise<void> {
  await tape.add(page, { kind: 'navigate', url: page.url() });
}

async function cannot(tape: Tape, page: Page, what: string, isHarmless = false): Promise<Notes> {
  await tape.add(page, { kind: 'unsupported', what, isHarmless });
  return {};
}

const followed = new WeakSet<object>();

/** What the pages of this context ask for. */
function follow(tape: Tape, page: Page): void {
  const context = page.context();
  if (followed.has(context)) return;
  followed.add(context);
  context.on('request', (request) => {
    const isBackground = ['xhr', 'fetch'].includes(request.resourceType());
    (currentTape() ?? tape).requested(request.method(), request.url(), isBackground);
  });
}

/** Keys go to whatever has the focus. */
function watchKeyboard(methods: Methods, sample: Page): void {
  const onFocused = (noted: Noted) => async (tape: Tape, keyboard: unknown, args: unknown[]) => {
    const page = pageOf(keyboard, sample);
    const focused = page && (await page.evaluateHandle(focusedElement)).asElement();
    return focused ? onElement(tape, focused, args, noted) : {};
  };
  wrap(
    methods,
    'press',
    onFocused(async ([key]) => ({ action: 'press', value: String(key) })),
  );
  for (const name of ['type', 'insertText'])
    wrap(
      methods,
      name,
      onFocused(async ([value]) => ({ action: 'fill', value: String(value) })),
    );
}

function watchMouse(methods: Methods, sample: Page): void {
  for (const name of ['click', 'dblclick', 'down'])
    wrap(methods, name, async (tape, mouse) => {
      const page = pageOf(mouse, sample);
      return page ? cannot(tape, page, `mouse.${name}, which says no element`) : {};
    });
}

/** Keyboard and mouse hold their page in a field of Playwright's own. */
function pageOf(device: unknown, sample: Page): Page | undefined {
  const held = (device as { _page?: unknown })._page; // read, and checked below
  return held !== null && typeof held === 'object' && Object.getPrototypeOf(held) === Object.getPrototypeOf(sample)
    ? (held as Page) // of the same class
    : undefined;
}

function methodsOf(object: object): Methods {
  return Object.getPrototypeOf(object) as Methods; // a class of Playwright's: its methods by their names
}

function focusedElement(): unknown {
  interface Root {
    readonly activeElement: { readonly shadowRoot: Root | null } | null;
  }
  const { document } = globalThis as unknown as { document: Root }; // runs in a page, whose global is a window
  let focused = document.activeElement;
  while (focused?.shadowRoot?.activeElement) focused = focused.shadowRoot.activeElement;
  return focused;
}

function markElement(node: unknown): string {
  const mark = `data-recorded-mark-${Math.random().toString(36).slice(2)}`;
  (node as { setAttribute(name: string, value: string): void }).setAttribute(mark, ''); // an element, by the caller's word
  return mark;
}

function unmarkElement(node: unknown, mark: string): void {
  (node as { removeAttribute(name: string): void }).removeAttribute(mark); // as above
}
