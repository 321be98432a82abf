import { type Request, type Response, Router } from 'express';
import { z } from 'zod';
import type { Person } from '../../core/ports/chat.ts';
import { Refusal } from './errors.ts';
import { type FieldErrors, type Fields, missingFields, readFields, renderForm } from './forms.ts';
import { eventId, nonce } from './message-routes.ts';
import type { ReceiverDeps } from './receiver.ts';
import { answer, authorOf, isFromScript, read } from './request.ts';
import type { OpenForm } from './store.ts';
import { threadRef } from './thread.ts';

const filledIn = z.looseObject({ nonce });

/** The forms that the conversation has opened. */
export function createFormRoutes({ config, people, store, pages, reception }: ReceiverDeps): Router {
  const routes = Router();
  routes.post('/forms/:form', submit);
  routes.post('/forms/:form/close', close);
  return routes;

  async function submit(request: Request<{ form: string }>, response: Response): Promise<void> {
    const from = authorOf(request.body, people);
    const open = formFor(request.params.form, from);
    const { nonce, ...posted } = read(filledIn, request.body);
    const fields = readFields(open.form, posted, people);
    const errors = await errorsIn(open, from, nonce, fields);
    if (errors === undefined) {
      if (store.form(open.id)) store.append({ kind: 'form_closed', id: open.id });
      answer(request, response, `/t/${open.threadId}`);
      return;
    }
    response.status(422);
    if (isFromScript(request)) response.json({ errors });
    else response.send(pages.alone(open.form.title, renderForm(open, { people, fields, errors })));
  }

  /** What is missing, or what the conversation finds wrong; `undefined` when it took the form. */
  async function errorsIn(
    open: OpenForm,
    from: Person,
    nonce: string,
    fields: Fields,
  ): Promise<FieldErrors | undefined> {
    const missing = missingFields(open.form, fields);
    if (Object.keys(missing).length > 0) return missing;
    const { form, value } = open.form;
    const thread = threadRef(config.workspaceId, open.eventThreadId);
    const id = eventId(from, nonce);
    const shown = open.shown === undefined ? {} : { shown: open.shown };
    const reply = await reception.hand({ kind: 'form', id, thread, from, ...shown, form, value, fields });
    return reply && 'fieldErrors' in reply ? reply.fieldErrors : undefined;
  }

  function close(request: Request<{ form: string }>, response: Response): void {
    const from = authorOf(request.body, people);
    const open = store.form(request.params.form);
    if (open?.userId === from.userId) store.append({ kind: 'form_closed', id: open.id });
    answer(request, response, open ? `/t/${open.threadId}` : '/');
  }

  function formFor(id: string, { userId }: Person): OpenForm {
    const open = store.form(id);
    if (open?.userId !== userId) throw new Refusal(409, 'This form is closed. Please open it again from the thread.');
    return open;
  }
}
