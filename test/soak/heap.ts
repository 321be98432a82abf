import { once } from 'node:events';

/**
 * What a Node.js process still holds once everything that nothing refers to is gone, in MB: by its inspector, so that the
 * program itself is the one that ships. Source: Chrome DevTools Protocol, HeapProfiler.collectGarbage, Runtime.getHeapUsage.
 */
export async function liveHeapMb(inspectorPort: number): Promise<number> {
  const list = await fetch(`http://127.0.0.1:${inspectorPort}/json/list`);
  const [target] = (await list.json()) as { webSocketDebuggerUrl: string }[]; // Node.js lists itself, and nothing else
  if (!target) throw new Error(`nothing is to be inspected at port ${inspectorPort}`);
  const socket = new WebSocket(target.webSocketDebuggerUrl);
  try {
    await once(socket, 'open');
    await ask(socket, 1, 'HeapProfiler.collectGarbage');
    const { usedSize } = await ask(socket, 2, 'Runtime.getHeapUsage');
    return Number(usedSize) / 1024 / 1024;
  } finally {
    socket.close();
  }
}

async function ask(socket: WebSocket, id: number, method: string): Promise<Readonly<Record<string, unknown>>> {
  const answered = new Promise<Readonly<Record<string, unknown>>>((done, fail) => {
    const hear = ({ data }: MessageEvent) => {
      const answer = JSON.parse(String(data)) as { id?: number; result?: Record<string, unknown>; error?: unknown }; // as the protocol has it
      if (answer.id !== id) return;
      socket.removeEventListener('message', hear);
      if (answer.result) done(answer.result);
      else fail(new Error(`${method} failed: ${JSON.stringify(answer.error)}`));
    };
    socket.addEventListener('message', hear);
    socket.addEventListener('close', () => fail(new Error(`the inspector closed before ${method}`)));
  });
  socket.send(JSON.stringify({ id, method }));
  return answered;
}
