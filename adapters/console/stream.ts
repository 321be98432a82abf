import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Response } from 'express';
import type { Answer } from './routes.ts';

/** Whoever asked has gone: there is nobody to tell, and nothing to mend. */
const LEFT = ['ERR_STREAM_UNABLE_TO_PIPE', 'ERR_STREAM_PREMATURE_CLOSE'];

/** Sends text as it is made; with a name, to be kept as a file. */
export async function stream(
  response: Response,
  type: string,
  text: AsyncIterable<string>,
  fileName?: string,
): Promise<Answer> {
  if (fileName !== undefined) response.set('Content-Disposition', `attachment; filename="${fileName}"`);
  response.type(type);
  await pipeline(Readable.from(text), response).catch((error: unknown) => {
    if (!LEFT.includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  });
  return { kind: 'sent' };
}
