import type { Person } from '../../core/ports/chat.ts';
import type { ConnectField, ConnectPages, ConnectView } from '../../core/ports/connect.ts';
import { cardOf } from './cards.ts';
import { attachmentOf, type Element, type RichTextBlock, type TextRun } from './elements.ts';
import { LIMITS } from './limits.ts';
import { runsOf } from './text.ts';

/** The one-time page as a dialog: the same links, spent the same way. */
export interface Dialogs {
  /** Whether what the link takes can be entered in a dialog, by its address. */
  takes(url: string): Promise<boolean>;
  /** What Teams shows. */
  fetch(token: string | undefined): Promise<object>;
  submit(token: string | undefined, data: Readonly<Record<string, unknown>>): Promise<object>;
  /** A fresh link of that person's, for the command that begins without one. */
  tokenFor(person: Person): Promise<string | undefined>;
}

export interface DialogDeps {
  readonly pages: ConnectPages;
  /** A fresh link for the newest request of theirs that waits for what they enter; `undefined`: there is none. */
  tokenFor(person: Person): Promise<string | undefined>;
  publicUrl(): string;
}

/** Before the number of each field. */
const ENTERED = 'entered-';
const GONE = 'This one-time page is closed, or there is nothing to enter. Nothing was taken. “link” gives another one.';
const TITLE = 'Enter it here';

export function createDialogs({ pages, tokenFor, publicUrl }: DialogDeps): Dialogs {
  async function enterable(token: string | undefined): Promise<Enterable | undefined> {
    const view = token === undefined ? undefined : await pages.look(token);
    return view && isEnterable(view) ? view : undefined;
  }

  const dialog = (view: Enterable, token: string, errors: Readonly<Record<string, string>> = {}) => ({
    task: {
      type: 'continue',
      value: { title: TITLE, width: 'medium', height: 'medium', card: cardFor(view, token, errors) },
    },
  });

  return {
    tokenFor,
    async takes(url) {
      return (await enterable(tokenIn(url, publicUrl()))) !== undefined;
    },
    async fetch(token) {
      const view = await enterable(token);
      return view && token !== undefined ? dialog(view, token) : message(GONE);
    },
    async submit(token, data) {
      const view = await enterable(token);
      if (!view || token === undefined) return message(GONE);
      const entered = fieldsOf(view).map(({ name }, index): [string, string] => {
        const given = data[`${ENTERED}${index}`];
        return [name, typeof given === 'string' ? given : ''];
      });
      const outcome = await pages.submit(token, Object.fromEntries(entered));
      switch (outcome.kind) {
        case 'entered':
          return message(
            outcome.what === 'key'
              ? 'Thank you. The key was taken, and is checked now.'
              : 'Thank you. The sign-in was taken.',
          );
        case 'answered':
          return message('Thank you. The code was taken, and the work goes on.');
        case 'invalid':
          return dialog(view, token, outcome.errors);
        case 'gone':
          return message(GONE);
        case 'trail':
        case 'revealed':
          return message(GONE); // no dialog opens for these
        default:
          return outcome satisfies never;
      }
    },
  };
}

type Enterable = Extract<ConnectView, { kind: 'sign_in' | 'key' | 'code' }>;

/** What is shown instead of entered, such as a stored key, stays on its page: a chat is no place for it. */
function isEnterable(view: ConnectView): view is Enterable {
  return view.kind === 'sign_in' || view.kind === 'key' || view.kind === 'code';
}

/** The token of a one-time page of ours. */
export function tokenIn(url: string, publicUrl: string): string | undefined {
  const prefix = `${publicUrl}/connect/`;
  const token = url.startsWith(prefix) ? url.slice(prefix.length) : '';
  return /^[A-Za-z0-9_-]{20,100}$/.test(token) ? token : undefined;
}

function message(value: string): object {
  return { task: { type: 'message', value } };
}

function fieldsOf(view: Enterable): readonly ConnectField[] {
  if (view.kind !== 'code') return view.fields;
  return [{ name: 'code', label: 'Code', help: 'As the site sent it to you.', isSecret: true, autocomplete: 'off' }];
}

function cardFor(view: Enterable, token: string, errors: Readonly<Record<string, string>>): object {
  const body: readonly Element[] = [
    line(view.title, { weight: 'Bolder', size: 'Medium' }),
    line(`For ${view.person}, for ${view.operationId}. Used at ${view.origin} and nowhere else.`),
    ...(view.kind === 'sign_in' && view.isUnencrypted
      ? [line(`Warning: ${view.origin} is not encrypted. Anybody on the way could read what you enter.`, WRONG)]
      : []),
    ...(view.kind === 'key' ? view.guide.map((step, index) => line(`${index + 1}. ${step}`)) : []),
    ...fieldsOf(view).flatMap((field, index) => fieldFor(field, index, errors[field.name])),
    { type: 'ActionSet', actions: [{ type: 'Action.Submit', title: 'Enter', data: { connect: token } }] },
  ];
  return attachmentOf(cardOf(body));
}

type Style = Pick<TextRun, 'size' | 'weight' | 'color' | 'isSubtle'>;
const WRONG: Style = { color: 'Attention', weight: 'Bolder' };

function line(words: string, style: Style = {}): RichTextBlock {
  return { type: 'RichTextBlock', inlines: runsOf([{ kind: 'text', text: words }], LIMITS.inputText, style) };
}

/** Masked where it is a secret. It is no boundary: what is entered travels in the answer to the dialog, and is kept nowhere else. */
function fieldFor({ label, help, isSecret }: ConnectField, index: number, error: string | undefined): Element[] {
  return [
    {
      ...{
        type: 'Input.Text',
        id: `${ENTERED}${index}`,
        label,
        isRequired: true,
        errorMessage: 'Please fill this in.',
      },
      ...{ maxLength: LIMITS.inputText, ...(isSecret ? { style: 'Password' as const } : {}) },
    },
    ...(help === '' ? [] : [line(help, { size: 'Small', isSubtle: true })]),
    ...(error === undefined ? [] : [line(error, WRONG)]),
  ];
}
