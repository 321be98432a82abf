import { z } from 'zod';
import type { ChatCapabilities, Person } from '../../core/ports/chat.ts';

const person = z.object({ userId: z.string().regex(/^[a-z0-9-]{1,32}$/), name: z.string().min(1).max(60) }).readonly();

/** A slash command to offer while somebody types: without its slash, what may follow it, and what it does. */
const command = z.object({ command: z.string().min(1), hint: z.string(), help: z.string() }).readonly();

/** What web chat needs to know. Web chat has no sign-in: whoever opens the page may speak as each of `people`. */
export const webChatConfig = z
  .object({
    /** 0 takes any free port. */
    port: z.number().int().min(0).max(65_535),
    workspaceId: z.string().min(1),
    people: z.array(person).min(1).readonly(),
    /** JSON Lines, appended to and replayed at start. */
    storeFile: z.string().min(1),
    channelName: z.string().min(1),
    /** Requests that the first screen offers to a newcomer. */
    examples: z.array(z.string()).readonly().default([]),
    commands: z.array(command).readonly().default([]),
    /** Other origins that pictures may come from; those of this page are always allowed. */
    pictureOrigins: z.array(z.url()).readonly().default([]),
  })
  .readonly();

export type WebChatConfig = z.infer<typeof webChatConfig>;
export type WebChatOptions = z.input<typeof webChatConfig>;

export const capabilities: ChatCapabilities = {
  ephemeral: true,
  ephemeralInPlace: true,
  directMessage: true,
  updateInPlace: true,
  form: true,
  upload: true,
  mention: true,
  groups: false,
  picturesInCards: true,
};

export function peopleOf(config: WebChatConfig): readonly Person[] {
  return config.people.map(({ userId, name }) => ({ platform: 'web', workspaceId: config.workspaceId, userId, name }));
}
