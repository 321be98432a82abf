import type { CDPSession } from 'playwright';
import { TooMuch, UnseenFrame } from './errors.ts';
import { measureDocument } from './in-page.ts';

/**
 * What a look may cost: a snapshot of this much blocks the program for about 0.1 s while it is read (5 million characters
 * 30 ms, 200,000 boxes of text 45 ms, 50,000 elements 250 ms, measured on 2 cores). A shop's admin page has some 9,000
 * nodes and 100,000 characters, scripts included.
 */
const LARGEST = { nodes: 50_000, characters: 5_000_000, textBoxes: 200_000 } as const;

/** All nodes of the process, those included that no document holds any more or that a closed shadow root hides. */
const MOST_NODES_OF_PROCESS = 200_000;

const WORLD = 'countersign';

interface FrameTree {
  readonly frame: { readonly id: string; readonly loaderId: string };
  readonly childFrames?: readonly FrameTree[];
}

/**
 * Asks how much a snapshot of the session's frames would hold, before anything of it is sent to us. The counting runs in
 * a world of its own: it sees the documents, and the page can neither see nor change it. @throws TooMuch, UnseenFrame
 */
export async function refuseTooLarge(session: CDPSession): Promise<void> {
  const [nodes, { frameTree }] = await Promise.all([nodesOfProcess(session), session.send('Page.getFrameTree')]);
  if (nodes > MOST_NODES_OF_PROCESS) {
    await session.send('HeapProfiler.collectGarbage'); // an earlier page's nodes may still lie there
    if ((await nodesOfProcess(session)) > MOST_NODES_OF_PROCESS) throw new TooMuch();
  }
  const sizes = await Promise.all(framesIn(frameTree).map((frame) => measure(session, frame)));
  for (const [i, most] of Object.values(LARGEST).entries()) {
    if (sizes.reduce((sum, size) => sum + (size[i] ?? 0), 0) > most) throw new TooMuch();
  }
}

async function nodesOfProcess(session: CDPSession): Promise<number> {
  return (await session.send('Memory.getDOMCounters')).nodes;
}

function framesIn({ frame, childFrames = [] }: FrameTree): FrameTree['frame'][] {
  return [frame, ...childFrames.flatMap(framesIn)];
}

async function measure(session: CDPSession, frame: FrameTree['frame']): Promise<readonly number[]> {
  const executionContextId = await worldOf(session, frame);
  const measuring = session.send('Runtime.callFunctionOn', {
    executionContextId,
    functionDeclaration: String(measureDocument),
    arguments: [LARGEST.nodes, LARGEST.characters].map((value) => ({ value })),
    returnByValue: true,
  });
  const { result } = await measuring.catch((error: unknown) => {
    worlds.get(session)?.delete(frame.id); // it may be gone although its document is not: the next look makes another
    throw error;
  });
  const size: unknown = result.value;
  if (!Array.isArray(size) || !size.every((part) => typeof part === 'number')) throw new UnseenFrame();
  return size;
}

/** By session, and there by frame: a document keeps its world, and each picture asks it twice. */
const worlds = new WeakMap<CDPSession, Map<string, { readonly loaderId: string; readonly id: number }>>();

async function worldOf(session: CDPSession, { id: frameId, loaderId }: FrameTree['frame']): Promise<number> {
  const known = worlds.get(session) ?? new Map<string, { readonly loaderId: string; readonly id: number }>();
  worlds.set(session, known);
  const world = known.get(frameId);
  if (world?.loaderId === loaderId) return world.id;
  const making = session.send('Page.createIsolatedWorld', { frameId, worldName: WORLD });
  const { executionContextId: id } = await making.catch((error: unknown) => {
    // It became another process's, or went away, since it was named.
    throw error instanceof Error && /no frame for given id/i.test(error.message) ? new UnseenFrame() : error;
  });
  known.set(frameId, { loaderId, id });
  return id;
}
