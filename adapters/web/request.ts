import type { Request, Response } from 'express';
import { z } from 'zod';
import type { Person } from '../../core/ports/chat.ts';
import { Refusal } from './errors.ts';

const COOKIE = 'countersign_person';

/** Reads the posted body. @throws Refusal 400 */
export function read<Body>(schema: z.ZodType<Body>, body: unknown): Body {
  const result = schema.safeParse(body);
  if (!result.success) throw new Refusal(400, 'The page sent something that could not be read.');
  return result.data;
}

/**
 * Each post says as whom it was made: the cookie only chooses who opens a page, so that two tabs of one browser never
 * speak in each other's name.
 */
export function authorOf(body: unknown, people: readonly Person[]): Person {
  const { as } = read(z.looseObject({ as: z.string() }), body);
  return personNamed(as, people);
}

/** @throws Refusal 400 */
export function personNamed(userId: string, people: readonly Person[]): Person {
  const person = people.find((each) => each.userId === userId);
  if (!person) throw new Refusal(400, 'There is no such person in this chat.');
  return person;
}

/** Who opens the page: the person whom this browser chose last, or the first one. */
export function readerOf(request: Request, people: readonly Person[]): Person {
  const chosen = (request.headers.cookie ?? '')
    .split(';')
    .map((pair) => pair.trim().split('='))
    .find(([name]) => name === COOKIE)?.[1];
  const person = people.find(({ userId }) => userId === chosen) ?? people[0];
  if (!person) throw new Refusal(500, 'This chat has no people.');
  return person;
}

export function rememberReader(response: Response, { userId }: Person): void {
  response.cookie(COOKIE, userId, { httpOnly: true, sameSite: 'strict', path: '/' });
}

/** The page's script posts JSON and reads where the thread is; a form without script is sent there. */
export function answer(request: Request, response: Response, url: string): void {
  if (isFromScript(request)) response.json({ url });
  else response.redirect(303, url);
}

export function isFromScript(request: Request): boolean {
  return request.is('json') !== false && request.is('json') !== null;
}
