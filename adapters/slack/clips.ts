import { z } from 'zod';
import type { Transcript } from '../../core/ports/chat.ts';
import type { Log } from '../../core/ports/log.ts';
import type { Secret } from '../../core/secret.ts';
import { type Api, SLACK_API } from './api.ts';
import { codeOf, slackError } from './errors.ts';

const TIMEOUT_MS = 5_000;
const LONGEST_BYTES = 200_000;
const FILES = 'https://files.slack.com';

/** A file as a message carries it, as far as it says whether it is something spoken. */
export const clipFile = z.looseObject({
  id: z.string().regex(/^[A-Z0-9]{2,32}$/),
  subtype: z.string().nullish(),
  mimetype: z.string().nullish(),
  media_display_type: z.string().nullish(),
});

/** The first of them that somebody recorded: Slack's own clips, and other sound files. */
export function clipAmong(files: readonly z.infer<typeof clipFile>[]): string | undefined {
  return files.find(
    ({ subtype, mimetype, media_display_type }) =>
      subtype === 'slack_audio' || media_display_type === 'audio' || mimetype?.startsWith('audio/'),
  )?.id;
}

/** Slack's own transcript of a file: in the types of its client, and not documented. */
const transcribed = z.looseObject({
  vtt: z.string().optional(),
  transcription: z
    .looseObject({
      status: z.string(),
      preview: z.looseObject({ content: z.string().default(''), has_more: z.boolean().default(false) }).optional(),
    })
    .optional(),
});

/** What Slack has written down of a clip. Without the scope for it, nothing ever. @throws CountersignError `chat_unavailable`. */
export async function transcriptOf(
  file: string,
  { api, token, apiUrl, log }: { api: Api; token: Secret; apiUrl: string; log: Log },
): Promise<Transcript> {
  try {
    const answer = await api.raw('files.info', (client) => client.files.info({ file }));
    const { transcription, vtt } = transcribed.parse(answer.file ?? {});
    if (transcription?.status === 'processing') return { kind: 'not_yet' };
    if (transcription?.status !== 'complete') return { kind: 'none' };
    const { content = '', has_more = false } = transcription.preview ?? {};
    const whole = has_more && vtt !== undefined ? await wholeOf(vtt, token, apiUrl) : undefined;
    return { kind: 'ready', text: whole ?? content };
  } catch (error) {
    const code = codeOf(error) ?? '';
    if (!GONE.has(code)) throw slackError(error, 'files.info');
    log.debug({ code }, 'slack: a clip has no transcript for us');
    return { kind: 'none' };
  }
}

const GONE = new Set(['missing_scope', 'file_not_found', 'file_deleted', 'not_allowed_token_type', 'no_permission']);

/** The preview is cut; the whole stands in a file of subtitles (WebVTT). `undefined`: it can't be read. */
async function wholeOf(vtt: string, token: Secret, apiUrl: string): Promise<string | undefined> {
  const allowed = apiUrl === SLACK_API ? FILES : new URL(apiUrl).origin;
  // The token goes to Slack and to nobody else.
  if (!URL.canParse(vtt) || new URL(vtt).origin !== allowed) return undefined;
  try {
    const headers = { Authorization: `Bearer ${token.reveal()}` };
    const response = await fetch(vtt, { headers, redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS) });
    const text = (await response.text()).slice(0, LONGEST_BYTES);
    if (!response.ok || !text.startsWith('WEBVTT')) return undefined;
    const spoken = text.split(/\r?\n\r?\n/).slice(1);
    const lines = spoken.flatMap((cue) =>
      cue.split(/\r?\n/).filter((line) => !line.includes('-->') && !/^\d+$/.test(line)),
    );
    return lines
      .join(' ')
      .replace(/<[^>]{0,100}>/g, '')
      .replace(/^- /, '')
      .trim();
  } catch {
    return undefined;
  }
}
