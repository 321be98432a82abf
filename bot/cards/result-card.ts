import { RECOVERED } from '../../core/connections/withdrawal.ts';
import { isRetryable } from '../../core/operations/control.ts';
import { endOfOldKey } from '../../core/operations/kept-key.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { RESTORED } from '../../core/operations/restored.ts';
import type { Block, Button, Card, CardStatus, RichText } from '../../core/ports/chat.ts';
import { makesKey } from '../../core/services/key-types.ts';
import type { OperationType } from '../../core/services/service.ts';
import { doneWords, keyRows, leftOfKeys, notDoneWords, oldKeyByHand } from './result-words.ts';
import { byWhom, keepWorking, repairNote } from './standing-card.ts';
import { bold, capital, code, person, place, seconds, sideOf, text } from './text.ts';

/** Of the hash in hex: 64 bits, so that nobody makes another chain that the thread would still agree with. */
const WITNESS_DIGITS = 16;

/** Where the operation's last word stands in the chain. */
export interface OnRecord {
  readonly entries: number;
  readonly seq: bigint;
  readonly hash: string;
  readonly isIntact: boolean;
}

/**
 * How it ended: a message of its own, since an edit notifies nobody.
 * @param mayKeepWorking repairs can be asked for, and were not
 */
export function resultCard(operation: Operation, record: OnRecord, mayKeepWorking = false): Card {
  return operation.state === 'completed' && operation.result
    ? doneCard(operation, record, mayKeepWorking)
    : notDoneCard(operation, record);
}

function doneCard(operation: Operation, record: OnRecord, mayKeepWorking: boolean): Card {
  const data = operation.result?.data;
  const title = `Done in ${seconds(data?.durationMs ?? 0)}. ${doneWords(operation)}.`;
  const isGone = makesKey(operation.type) && !operation.isKeyStored;
  return {
    summary: `${title} ${byWhom(operation)}`,
    status: { tone: 'done', words: isGone ? 'Done, key gone' : 'Done' },
    blocks: [
      { kind: 'heading', text: [text(title)] },
      ...repairNote(operation),
      {
        kind: 'facts',
        rows: [
          { label: 'For', value: [person(operation.requester.person), text(' · '), code(operation.id)] },
          ...keyRows(operation),
          { label: 'Checked', value: [text(data?.checked ?? '')] },
          {
            label: 'Work',
            value: [text(`${data?.steps ?? 0} steps, ${seconds(data?.durationMs ?? 0)}${enteredWords(operation)}`)],
          },
          onRecord(record),
        ],
      },
      ...oldKeyByHand(operation),
      {
        kind: 'actions',
        buttons: [
          trail(operation, 'primary'),
          ...(mayKeepWorking ? [keepWorking(operation)] : []),
          ...(operation.isKeyStored ? forKey(operation) : []),
        ],
      },
      rating(operation),
    ],
  };
}

function notDoneCard(operation: Operation, record: OnRecord): Card {
  const title = endWords(operation);
  return {
    summary: operation.errorMessage ? `${title} ${whyWords(operation)}` : title,
    status: notDoneStatus(operation),
    blocks: [
      { kind: 'heading', text: [text(title)] },
      ...repairNote(operation),
      ...(operation.errorMessage ? [{ kind: 'text', text: [text(whyWords(operation))] } satisfies Block] : []),
      { kind: 'text', tone: 'quiet', text: [text(keptWords(operation))] },
      ...orphan(operation),
      ...oldKeyByHand(operation),
      {
        kind: 'facts',
        rows: [
          { label: 'For', value: [person(operation.requester.person), text(' · '), code(operation.id)] },
          onRecord(record),
        ],
      },
      { kind: 'text', text: next(operation) },
      {
        kind: 'actions',
        buttons: [
          ...(canTryAgain(operation) ? [tryAgain(operation)] : []),
          ...(isForHand(operation) ? [guide(operation)] : []),
          trail(operation, 'plain'),
          ...(operation.isKeyStored ? [revoke(operation)] : []),
        ],
      },
      ...(operation.state === 'failed' ? [rating(operation)] : []),
    ],
  };
}

/** Ours, or of whoever denied it: then whose they are. */
function whyWords({ state, errorMessage, decidedBy }: Operation): string {
  if (state !== 'denied') return errorMessage ?? '';
  return `${decidedBy ? `${decidedBy.person.name} wrote: ` : ''}“${errorMessage}”`;
}

const END_WORDS: { readonly [State in Operation['state']]?: string } = {
  denied: 'Denied',
  expired: 'Expired',
  cancelled: 'Stopped',
};

const ABOUT_KEYS: { readonly [Type in OperationType]?: string } = {
  credential_rotation: 'rotation',
  credential_revocation: 'revocation',
  integration_test: 'test',
};

/** What it leaves: a key that nothing was done to is as good as before, whatever became of the request about it. */
function notDoneStatus({ state, grant, plan, type }: Operation): CardStatus {
  const words = END_WORDS[state];
  const about = ABOUT_KEYS[type.type];
  if (words === undefined || about === undefined || grant || !plan.key)
    return { tone: 'failed', words: words ?? 'Failed' };
  return { tone: 'done', words: `Connected, ${about} ${words.toLowerCase()}` };
}

function endWords(operation: Operation): string {
  const words = notDoneWords(operation);
  switch (operation.state) {
    case 'denied':
      return `Denied: ${words}.`;
    case 'expired':
      return `Expired: ${words}.`;
    case 'cancelled':
      return `Stopped: ${words}.`;
    default:
      return `${words}.`;
  }
}

/** What is left behind: always said, so that nobody has to wonder. */
function keptWords(operation: Operation): string {
  const { grant, intent, service, signIn, way, result } = operation;
  if (operation.errorCode === RESTORED)
    return 'What this thread showed after the backup was made may be missing from it.';
  if (!grant) return 'Nothing was done.';
  const left = leftOfKeys(operation);
  if (left !== undefined) return `${left}${signIn && way.kind === 'browser' ? ' The sign-in was deleted.' : ''}`;
  const key = operation.isKeyStored
    ? `The new key “${intent?.label}” lies in the vault, but it was not proven to work. Keep it, or revoke it here.`
    : intent?.state !== 'done'
      ? 'No key was stored.'
      : result?.data.replacedBy
        ? `The new key “${intent.label}” was stored, and the key of ${result.data.replacedBy} has taken its place in the vault since.`
        : `The new key “${intent.label}” was stored and has been deleted from the vault since.`;
  if (!signIn) return key;
  if (way.kind === 'browser') return `${key} The sign-in was deleted.`;
  if (operation.isKeyStored) return key;
  return `${key} What was entered was deleted; the key itself lives on at ${service.name} until somebody ends it there.`;
}

/** What became of what was entered. */
function enteredWords({ way, signIn, plan }: Operation): string {
  if (way.kind === 'stored') return '; no page was opened';
  if (way.kind === 'browser')
    return plan.repair?.consent === undefined
      ? '; the sign-in was deleted'
      : '; with the sign-in that is kept for repairs';
  return signIn ? `; the key was made and entered by ${signIn.by.person.name}` : '';
}

/** A key that may live on at the shop although nobody holds it. */
function orphan(operation: Operation): readonly Block[] {
  const label = unseenLabel(operation);
  const isSaid = operation.errorCode === 'effect_unsure' || operation.errorCode === RESTORED; // in why it ended
  if (label === undefined || isSaid) return [];
  const side = sideOf(operation.service);
  const words = `A key named “${label}” may have been made in ${side}, and nobody holds it. Look for it in ${side}'s list of keys; if it is there, revoke it.`;
  return [{ kind: 'text', tone: 'warning', text: [text(words)] }];
}

/** The name of what was begun at the shop and never seen to its end. */
function unseenLabel({ intent }: Operation): string | undefined {
  return intent?.state === 'started' || intent?.state === 'uncertain' ? intent.label : undefined;
}

function next(operation: Operation): RichText {
  const { retriedAs, errorCode } = operation;
  if (errorCode === RECOVERED) return [text('Nothing has to be done. If it breaks again, it is asked for anew.')];
  if (retriedAs)
    return [text('It is tried again as '), code(retriedAs), text(', with a plan and an approval of its own.')];
  return [bold('Next: '), text(nextWords(operation))];
}

/** One press: not where a person has to look at the shop first, or does better by hand. */
function canTryAgain(operation: Operation): boolean {
  // A rotation whose new key is the stored one has only its end left to do, and that by hand unless the old key ends itself.
  const isRotated = operation.type.type === 'credential_rotation' && operation.isKeyStored && !endOfOldKey(operation);
  const isOrphan = isRotated || unseenLabel(operation) !== undefined || operation.errorCode === 'effect_unsure';
  const isWanted = !operation.retriedAs && operation.errorCode !== RECOVERED;
  return isRetryable(operation) && isWanted && !isOrphan && !isForHand(operation);
}

function tryAgain({ id }: Operation): Button {
  return { label: 'Try again', style: 'primary', action: 'retry', value: id };
}

function nextWords(operation: Operation): string {
  const side = sideOf(operation.service);
  const atHome = operation.service.home === operation.plan.base;
  const { type } = operation.type;
  const again = canTryAgain(operation)
    ? 'press “Try again” for a new plan that somebody approves'
    : type === 'integration_test'
      ? `have an approver or an admin write “/countersign test ${operation.service.id}”, which tries the stored keys`
      : `write “${asking(operation, type)}${atHome ? '' : ` for ${place(operation.plan.base)}`}” to ask again`;
  if (type === 'credential_rotation' && operation.isKeyStored)
    return canTryAgain(operation)
      ? 'press “Try again” to have the old key ended, once somebody approves that, or end it by hand, as above.'
      : 'end the old key by hand, as above.';
  if (operation.errorCode === 'sign_in_refused') return `check the user name and password in ${side}, then ${again}.`;
  if (isForHand(operation))
    return `${BY_HAND[type]} by hand: “How to do it by hand” lists the steps. If ${side} lets this address in without a CAPTCHA, ${again}.`;
  if (operation.errorCode === 'no_access') return `use an account that may manage ${side}, then ${again}.`;
  if (unseenLabel(operation) !== undefined) return `look at ${side}'s list of keys first, then ${again}.`;
  return `${again}.`;
}

const BY_HAND: Readonly<Record<OperationType, string>> = {
  api_key_generation: 'make the key',
  credential_rotation: 'replace the key',
  credential_revocation: 'end the key',
  integration_test: 'try the key',
};

/** As people ask for it: a test by these words would look at an address, without any key. */
function asking({ service }: Operation, type: Exclude<OperationType, 'integration_test'>): string {
  const words = {
    api_key_generation: `set up ${service.name}`,
    credential_rotation: `rotate the ${service.name} key`,
    credential_revocation: `revoke the ${service.name} key`,
  };
  return words[type];
}

function onRecord(record: OnRecord) {
  const chain = `#${record.seq} · ${record.hash.slice(0, WITNESS_DIGITS)}`;
  return {
    label: 'On record',
    value: [
      text(`${record.entries} entries, chain `),
      code(chain),
      text(record.isIntact ? ' verified' : ' NOT intact'),
    ],
  };
}

/** What a program never does: only a person can go on. */
function isForHand({ errorCode }: Operation): boolean {
  return errorCode === 'captcha';
}

function guide(operation: Operation): Button {
  return { label: 'How to do it by hand', style: 'primary', action: 'guide', value: operation.id };
}

function trail(operation: Operation, style: 'primary' | 'plain'): Button {
  return { label: 'Audit trail', style, action: 'audit', value: operation.id };
}

/** For admins; the others are told so. */
function reveal(operation: Operation): Button {
  return { label: 'Reveal', style: 'plain', action: 'reveal', value: operation.id };
}

/** What can be done with a key that lies in the vault. */
function forKey(operation: Operation): readonly Button[] {
  const { service, id } = operation;
  const rotate: Button = { label: 'Rotate', style: 'plain', action: 'rotate', value: id };
  return [reveal(operation), ...(service.operationTypes.credential_rotation ? [rotate] : []), revoke(operation)];
}

function rating({ id }: Operation): Block {
  return { kind: 'feedback', action: 'rate', good: `good ${id}`, bad: `bad ${id}` };
}

function revoke(operation: Operation): Button {
  const side = capital(sideOf(operation.service));
  const confirm = {
    title: 'Revoke this key?',
    text: operation.type.revoke
      ? `${side} is told to end it, and it is deleted from the vault: it cannot be brought back.`
      : `It is deleted from the vault at once and cannot be brought back. ${side} still knows it until somebody revokes it there: you will be told how.`,
    yes: 'Revoke it',
  };
  return { label: 'Revoke', style: 'danger', action: 'revoke', value: operation.id, confirm };
}
