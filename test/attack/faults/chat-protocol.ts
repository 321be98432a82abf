import { z } from 'zod';
import type { Card, ChatEvent, Form, Person, ThreadRef } from '../../../core/ports/chat.ts';

/** What the program asks of the chat, one request each; the path is `/api/` and its kind. */
export type ChatCall =
  | { readonly kind: 'post'; readonly thread: ThreadRef; readonly card: Card; readonly key: string }
  | { readonly kind: 'update'; readonly ref: string; readonly card: Card }
  | {
      readonly kind: 'ephemeral';
      readonly thread: ThreadRef;
      readonly to: Person;
      readonly card: Card;
      readonly key?: string;
    }
  | { readonly kind: 'directMessage'; readonly to: Person; readonly card: Card }
  | { readonly kind: 'openForm'; readonly trigger: string; readonly form: Form };

/** What the chat answers. */
export const answerSchema = z.object({ ref: z.string() });

/** What the chat tells the program: at least once, until it says 200. */
export type ChatDelivery = ChatEvent;
