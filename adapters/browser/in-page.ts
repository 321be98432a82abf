/**
 * The functions that run inside a page: fixed code with values as arguments, never text of anyone's. Each is sent as
 * its own source, so it uses nothing from outside itself. The DOM is described here as far as it is touched.
 */
export interface PageElement {
  readonly tagName: string;
  readonly type?: unknown;
  readonly value?: unknown;
  readonly disabled?: boolean;
  readonly innerText?: string;
  readonly textContent: string | null;
  readonly options?: ArrayLike<{ readonly value: string; readonly text: string; readonly disabled: boolean }>;
  readonly labels?: ArrayLike<PageElement> | null;
  readonly nextElementSibling: PageElement | null;
  getBoundingClientRect(): {
    readonly top: number;
    readonly bottom: number;
    readonly width: number;
    readonly height: number;
  };
  scrollIntoView(options: { block: string; inline: string; behavior: string }): void;
}

export function tagAndType(node: PageElement): { tag: string; type?: string } {
  const tag = node.tagName.toLowerCase();
  const hasType = (tag === 'input' || tag === 'button') && typeof node.type === 'string';
  return hasType ? { tag, type: String(node.type).toLowerCase() } : { tag };
}

/** What a person sees in place of a hidden field: itself, else the widget after it, else its label. */
export function standIn(node: PageElement): PageElement {
  const isSeen = (element: PageElement) => {
    const { width, height } = element.getBoundingClientRect();
    return width >= 4 && height >= 4;
  };
  if (isSeen(node)) return node;
  for (let next = node.nextElementSibling, i = 0; next && i < 3; next = next.nextElementSibling, i++) {
    if (isSeen(next)) return next;
  }
  return Array.from(node.labels ?? []).find(isSeen) ?? node;
}

/** Scrolls only when needed, to the middle, where fixed bars at the edges don't cover it. */
export function bringIntoView(node: PageElement): void {
  const { top, bottom } = node.getBoundingClientRect();
  const { innerHeight } = globalThis as unknown as { innerHeight: number }; // runs in a page, whose global is a window
  if (top < 48 || bottom > innerHeight - 16)
    node.scrollIntoView({ block: 'center', inline: 'nearest', behavior: 'instant' });
}

export function liveText(node: PageElement): string {
  const tag = node.tagName.toLowerCase();
  const isField = tag === 'input' || tag === 'textarea' || tag === 'select';
  return isField ? String(node.value ?? '') : (node.innerText ?? node.textContent ?? '');
}

/** The index of the option with this value or, if there is none, this exact text; -1 while there is none to choose. */
export function optionIndex(node: PageElement, wanted: string): number {
  const options = Array.from(node.options ?? []);
  const byValue = options.findIndex((option) => option.value === wanted);
  const index = byValue >= 0 ? byValue : options.findIndex((option) => option.text.trim() === wanted);
  return index >= 0 && !options[index]?.disabled && !node.disabled ? index : -1;
}

/** Resolves at the page's next frame: a page that is busy is asked less often. */
export function nextFrame(): Promise<void> {
  const { requestAnimationFrame } = globalThis as unknown as { requestAnimationFrame(run: () => void): void }; // as above
  return new Promise((done) => requestAnimationFrame(() => done()));
}

export function isParsed(): boolean {
  const { document } = globalThis as unknown as { document: { readyState: string } }; // as above
  return document.readyState !== 'loading';
}

interface PeerConnection {
  readonly iceGatheringState: string;
  onicegatheringstatechange: (() => void) | null;
  createDataChannel(name: string): unknown;
  createOffer(): Promise<unknown>;
  setLocalDescription(description: unknown): Promise<void>;
  close(): void;
}

/** Asks a STUN server for our address, as a page could; resolves when the browser has tried all it would try. */
export async function gatherCandidates(server: string): Promise<void> {
  const { RTCPeerConnection } = globalThis as unknown as {
    RTCPeerConnection?: new (options: {
      iceServers: { urls: string }[];
    }) => PeerConnection; // as above; some builds leave it out
  };
  if (!RTCPeerConnection) return;
  const connection = new RTCPeerConnection({ iceServers: [{ urls: server }] });
  const gathered = new Promise<void>((done) => {
    connection.onicegatheringstatechange = () => {
      if (connection.iceGatheringState === 'complete') done();
    };
  });
  connection.createDataChannel('probe');
  await connection.setLocalDescription(await connection.createOffer());
  await gathered;
  connection.close();
}
