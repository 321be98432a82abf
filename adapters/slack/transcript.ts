import { z } from 'zod';
import type { Transcript } from '../../core/ports/chat.ts';
import type { Api } from './api.ts';
import { codeOf, slackError } from './errors.ts';
import type { Self } from './events.ts';
import { readText } from './text.ts';

/** As Slack sends it, without describing it: the fields of `files.info` in the types of @slack/web-api. */
const shape = z.looseObject({
  transcription: z
    .looseObject({
      status: z.string(),
      preview: z.looseObject({ content: z.string(), has_more: z.boolean().default(false) }).optional(),
    })
    .optional(),
});
/** The file is not for our eyes: without the scope, or in a place that we are not in (docs.slack.dev, errors of `files.info`). */
const UNSEEN = new Set(['missing_scope', 'file_not_found', 'not_visible', 'access_denied', 'no_permission']);

/** What Slack wrote down of a clip. Only its first words come along; a request needs no more. */
export async function readTranscript(api: Api, clip: string, { botUserId }: Self): Promise<Transcript> {
  try {
    const { file } = await api.raw('files.info', (client) => client.files.info({ file: clip }));
    const { transcription } = shape.parse(file);
    switch (transcription?.status) {
      case 'complete':
        if (transcription.preview === undefined) return { kind: 'none', why: 'failed' };
        if (transcription.preview.has_more) return { kind: 'none', why: 'too_long' };
        return { kind: 'ready', text: readText(transcription.preview.content, botUserId) };
      case undefined: // it has not begun
      case 'processing':
        return { kind: 'writing' };
      default:
        return { kind: 'none', why: 'failed' };
    }
  } catch (error) {
    if (UNSEEN.has(codeOf(error) ?? '')) return { kind: 'none', why: 'not_allowed' };
    throw slackError(error, 'files.info');
  }
}
