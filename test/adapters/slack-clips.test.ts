// Something that somebody spoke: what the adapter hears of it, and where Slack's own transcript comes from.
import { createServer } from 'node:http';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { listenOnLoopback } from '../../core/http-listen.ts';
import type { ChatEvent } from '../../core/ports/chat.ts';
import { type OpenedSlack, openSlackByHand } from '../support/slack/by-hand.ts';
import { TEAM } from '../support/slack/server.ts';

let slack: OpenedSlack;
let events: ChatEvent[];
beforeEach(async () => {
  slack = await openSlackByHand();
  events = [];
  slack.listen(async (event) => void events.push(event));
});
afterEach(() => slack.close());

/** As several public collections of Slack's events have it. */
const clip = {
  ...{ id: 'F0CLIP', name: 'audio_message.m4a', mimetype: 'audio/mp4', subtype: 'slack_audio', duration_ms: 3_200 },
  ...{ media_display_type: 'audio', transcription: { status: 'processing' } },
};
const spoken = (more: object = {}) => ({
  ...{ type: 'message', subtype: 'file_share', channel: 'D0001', channel_type: 'im', user: 'U0001' },
  ...{ text: '', ts: '1700000000.000100', files: [clip] },
  ...more,
});
const thread = { platform: 'slack', workspaceId: TEAM, ref: 'D0001:1700000000.000100' } as const;
const transcript = () => slack.chat.transcript?.(thread, 'F0CLIP');
const isKnown = (file: object) => slack.server.files.set('F0CLIP', { ...clip, ...file });

describe('a message with a clip', () => {
  test('is that clip', async () => {
    await slack.event(spoken());
    expect(events).toMatchObject([{ kind: 'message', text: '', clip: 'F0CLIP' }]);
  });

  test('and with words is what was typed', async () => {
    await slack.event(spoken({ text: 'set up WooCommerce' }));
    expect(events).toMatchObject([{ kind: 'message', text: 'set up WooCommerce' }]);
    expect(events[0]).not.toHaveProperty('clip');
  });

  test.each([
    ['a picture', [{ id: 'F1', mimetype: 'image/png' }]],
    ['files that nobody could read', [{ id: 'no id', mimetype: 'audio/mp4' }]],
    ['no file at all', 'files'],
  ])('has none in %s', async (_, files) => {
    await slack.event(spoken({ files }));
    expect(events[0]).not.toHaveProperty('clip');
  });
});

describe('a transcript', () => {
  test.each([
    { status: 'processing', kind: 'not_yet' },
    { status: 'failed', kind: 'none' },
    { status: 'none', kind: 'none' },
  ])('that Slack says is $status is $kind', async ({ status, kind }) => {
    isKnown({ transcription: { status } });
    expect(await transcript()).toEqual({ kind });
  });

  test('that is complete is what was said', async () => {
    isKnown({ transcription: { status: 'complete', preview: { content: 'set up shops', has_more: false } } });
    expect(await transcript()).toEqual({ kind: 'ready', text: 'set up shops' });
  });

  test('is none without the scope, or of a file that is gone', async () => {
    slack.server.fail('files.info', { error: 'missing_scope' });
    expect(await transcript()).toEqual({ kind: 'none' });
    expect(await transcript()).toEqual({ kind: 'none' });
  });

  test('can’t be asked for while Slack is away', async () => {
    slack.server.fail('files.info', { status: 503 });
    await expect(transcript()).rejects.toMatchObject({ code: 'chat_unavailable', isRetryable: true });
  });

  test('that is longer than the preview is read whole, from Slack alone', async () => {
    const asked: string[] = [];
    const other = createServer(({ headers }, response) => {
      asked.push(headers.authorization ?? '');
      response.end('WEBVTT\n\nnothing');
    });
    const { port, close } = await listenOnLoopback(other, 0);
    const preview = { content: 'set up', has_more: true };
    isKnown({ transcription: { status: 'complete', preview }, vtt: `http://127.0.0.1:${port}/whole.vtt` });
    expect(await transcript()).toEqual({ kind: 'ready', text: 'set up' });
    await close();
    expect(asked).toEqual([]);
    isKnown({ transcription: { status: 'complete', preview }, vtt: slack.server.vttUrl });
    expect(await transcript()).toEqual({ kind: 'ready', text: 'set up WooCommerce for shop dot example dot com' });
  });
});
