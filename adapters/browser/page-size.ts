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
  readonly frame: { readonly id: string };
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
  const sizes = await Promise.all(framesIn(frameTree).map((frameId) => measure(session, frameId)));
  for (const [i, most] of Object.values(LARGEST).entries()) {
    if (sizes.reduce((sum, size) => sum + (size[i] ?? 0), 0) > most) throw new TooMuch();
  }
}

async function nodesOfProcess(session: CDPSession): Promise<number> {
  return (await session.send('Memory.getDOMCounters')).nodes;
}

function framesIn({ frame, childFrames = [] }: FrameTree): string[] {
  return [frame.id, ...childFrames.flatMap(framesIn)];
}

async function measure(session: CDPSession, frameId: string): Promise<readonly number[]> {
  const { executionContextId } = await session.send('Page.createIsolatedWorld', { frameId, worldName: WORLD });
  const { result } = await session.send('Runtime.callFunctionOn', {
    executionContextId,
    functionDeclaration: String(measureDocument),
    arguments: [LARGEST.nodes, LARGEST.characters].map((value) => ({ value })),
    returnByValue: true,
  });
  const size: unknown = result.value;
  if (!Array.isArray(size) || !size.every((part) => typeof part === 'number')) throw new UnseenFrame();
  return size;
}
