import { AsyncLocalStorage } from 'node:async_hooks';
import type { ElementHandle, Page } from 'playwright';
import type { Origin } from '../../../core/ports/http.ts';
import type { PageSight, RecordedEvent, Recording } from '../../../core/workflow/recording.ts';
import { sightsOf } from './in-page-place.ts';

/** Without a moment: that is filled in here. */
type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;
export type NewEvent = DistributiveOmit<RecordedEvent, 'steps' | 'before'>;

/** What the running test has done so far. One test runs at a time in a process of Playwright's. */
export class Tape {
  readonly events: RecordedEvent[] = [];
  readonly inputs = new Map<string, string>();
  readonly secrets = new Map<string, string>();
  readonly results = new Map<string, string>();
  readonly calls = new Set<string>();
  readonly generators = new Set<string>();
  base: string | undefined;
  #page: Page | undefined;
  readonly #windows: Page[] = [];
  #last: ElementHandle | undefined;

  origins(page: Page): readonly Origin[] {
    const origin = URL.parse(this.base ?? page.url())?.origin;
    return origin === undefined || origin === 'null' ? [] : [origin];
  }

  /** Notes what is about to happen on a page; `element` is asked later whether it is still there. */
  async add(page: Page, event: NewEvent, element?: ElementHandle): Promise<RecordedEvent> {
    if (!this.#windows.includes(page)) this.#windows.push(page);
    const window = this.#windows.indexOf(page);
    const before = await this.sight(page);
    const isLaterOpen = this.#windows.slice(window + 1).some((later) => !later.isClosed());
    if (isLaterOpen && !this.events.some(({ kind }) => kind === 'unsupported')) {
      const what = 'an earlier window while a later one is open';
      this.events.push({ kind: 'unsupported', what, isHarmless: false, steps: [...stepTitles()], before, window });
    }
    // Each variant of the event with the moment that all of them have.
    const noted = { ...event, steps: [...stepTitles()], before, window } as RecordedEvent;
    this.events.push(noted);
    this.#page = page;
    if (element) this.#last = element;
    return noted;
  }

  async sight(page: Page): Promise<PageSight> {
    const { sights, generator } = await page.evaluate(sightsOf).catch(() => ({ sights: [], generator: null })); // a page that is just changing shows nothing
    if (generator !== null) this.generators.add(generator);
    const last = this.#last;
    const isLastGone = last !== undefined && !(await last.isVisible().catch(() => false));
    return { url: page.url(), sights, isLastGone };
  }

  async final(): Promise<PageSight | undefined> {
    return this.#page === undefined || this.#page.isClosed() ? undefined : this.sight(this.#page);
  }

  /** A request of a page: what the step before set off. */
  requested(method: string, url: string, isBackground: boolean): void {
    if (this.base === undefined || !url.startsWith(this.base)) return;
    const last = this.events.at(-1);
    if (last?.kind === 'act' && !['GET', 'HEAD', 'OPTIONS'].includes(method)) last.hasSent = true;
    if (isBackground) this.calls.add(`${method} ${new URL(url).pathname}`);
  }

  handOver(own: Pick<Recording, 'file' | 'line' | 'titles' | 'annotations' | 'status' | 'errors'>, final?: PageSight) {
    const pairs = (map: ReadonlyMap<string, string>) => [...map].map(([name, value]) => ({ name, value }));
    const recording: Recording = {
      ...own,
      ...(this.base === undefined ? {} : { base: this.base }),
      inputs: pairs(this.inputs),
      secrets: pairs(this.secrets),
      results: pairs(this.results),
      events: this.events,
      ...(final === undefined ? {} : { final }),
      calls: [...this.calls],
      generators: [...this.generators],
    };
    return recording;
  }
}

const steps = new AsyncLocalStorage<readonly string[]>();

function stepTitles(): readonly string[] {
  return steps.getStore() ?? [];
}

export function inStep<T>(title: string, body: () => T): T {
  return steps.run([...stepTitles(), title], body);
}

let tape: Tape | undefined;

/** The tape of the test that runs, or of what runs before it; `undefined` when nothing is recorded. */
export function currentTape(): Tape | undefined {
  if (recordingSink() === undefined) return undefined;
  tape ??= new Tape();
  return tape;
}

export function endTape(): void {
  tape = undefined;
}

/** Where recordings go: an address on this computer that `workflow record` listens at. */
export function recordingSink(): string | undefined {
  return process.env.COUNTERSIGN_RECORDING_SINK;
}
