import { createHmac } from 'node:crypto';
import type { MessagesBody } from './body.ts';

/** Thinking is bound to its own words and to everything that was said before it. */
export interface Signature {
  readonly ofThinking: string;
  readonly ofPrefix: string;
}

type Before = Pick<MessagesBody, 'system' | 'tools' | 'messages'>;

export function signed(thinking: string, before: Before): string {
  const { ofThinking, ofPrefix } = signatureOf(thinking, before);
  return `${ofThinking}.${ofPrefix}`;
}

/** @returns what is wrong with it: `signature` was not made for these words, `prefix` not for what stands before. */
export function checkSignature(
  signature: string,
  thinking: string,
  before: Before,
): 'signature' | 'prefix' | undefined {
  const right = signatureOf(thinking, before);
  const [ofThinking, ofPrefix] = signature.split('.');
  if (ofThinking !== right.ofThinking) return 'signature';
  return ofPrefix === right.ofPrefix ? undefined : 'prefix';
}

function signatureOf(thinking: string, { system, tools, messages }: Before): Signature {
  return { ofThinking: mac(thinking), ofPrefix: mac(JSON.stringify({ system, tools, messages })) };
}

function mac(text: string): string {
  return createHmac('sha256', 'the stand-in signs what it thought').update(text).digest('base64url');
}
