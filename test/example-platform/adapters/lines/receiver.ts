import { createServer, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import type { LinesOptions } from './config.ts';

/** What a person sends, a line of JSON each: who they are first, then what they say and press. `id` is the client's own. */
const signIn = z.strictObject({ userId: z.string(), word: z.string() });
const spoken = z.union([
  z.strictObject({ id: z.string(), thread: z.string().optional(), text: z.string() }),
  z.strictObject({
    ...{ id: z.string(), thread: z.string(), message: z.string().optional() },
    ...{ action: z.string(), value: z.string() },
  }),
]);
export type Spoken = z.infer<typeof spoken>;

export interface Line {
  readonly socket: Socket;
  readonly userId: string;
}

/** Who proves to be somebody is heard; everybody else is cut off without a word. */
export function createReceiver(
  people: LinesOptions['people'],
  { joined, heard }: { joined(line: Line): void; heard(line: Line, said: Spoken): void },
): Server {
  return createServer((socket) => {
    let line: Line | undefined;
    socket.on('error', () => socket.destroy());
    createInterface({ input: socket }).on('line', (text) => {
      if (line === undefined) {
        const given = read(signIn, text);
        const person = people.find(({ userId, word }) => userId === given?.userId && word === given.word);
        if (person === undefined) return void socket.destroy();
        line = { socket, userId: person.userId };
        return joined(line);
      }
      const said = read(spoken, text);
      if (said !== undefined) heard(line, said);
    });
  });
}

function read<T>(schema: z.ZodType<T>, text: string): T | undefined {
  try {
    return schema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
