import type { Lack, Rules } from '../../core/consent/policy.ts';
import { isSamePerson, type Member } from '../../core/customers/customers.ts';
import type { OperatorPause } from '../../core/operations/hold.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { originsOf } from '../../core/operations/plan.ts';
import type { Block, Button, RichText } from '../../core/ports/chat.ts';
import { isUnencrypted } from '../../core/ports/http.ts';
import type { OperationType, Permission } from '../../core/services/service.ts';
import { pauseNote } from './pause-words.ts';
import { bold, capital, clock, code, names, oneOf, person, place, sideOf, text } from './text.ts';

/** Who could decide as things stand, who can change that, and how many it takes. */
export interface Deciders {
  readonly approvers: readonly Member[];
  readonly admins: readonly Member[];
  readonly rules: Pick<Rules, 'approvalsRequired' | 'approverGroup'>;
  /** Why those approvals can't be had. */
  readonly lack: Lack | undefined;
  /** Where this installation is reached: not every way is open everywhere. */
  readonly publicUrl?: string | undefined;
  /** The operator holds the customer's work back. */
  readonly pause?: OperatorPause | undefined;
}

/**
 * What is asked: what it may do, how much there is to it, what to look at twice, and the whole plan.
 * @param saysModel whether it says what a model may see; a card about several says that once
 */
export function described(operation: Operation, saysModel = true): readonly Block[] {
  return [
    { kind: 'list', items: granted(operation).map((p) => ({ text: [text(p.words)], detail: p.detail })) },
    { kind: 'text', tone: 'quiet', text: [text(outline(operation))] },
    ...firstHere(operation),
    ...askedBefore(operation),
    ...(saysModel ? seenByModel(operation) : []),
    ...unencrypted(operation),
    ...replaced(operation),
    plan(operation),
  ];
}

/** How much there is to it, and what it will not do. */
function outline({ plan, type, way, requester, service }: Operation): string {
  const beta = way.standing === 'beta' ? ' Beta: not yet proven on the vendor’s own pages.' : '';
  const who = requester.person.name;
  const byHand = {
    browser: '',
    entered: `${who} makes the key, by steps that I show, and enters it on a one-time page; I check it and keep it. `,
    granted: `${who} says yes on ${service.name}'s own page, which sends the key to me; I check it and keep it. No password is asked for. `,
    stored: 'The stored key does it by itself: no page is opened, and nothing is asked for. ',
  };
  return `${byHand[way.kind]}${plan.steps.length} steps, about ${way.typicalSeconds} seconds. ${type.reassurance}${beta}`;
}

/** Whoever approves looks twice at an address that nobody here has worked at before. */
function firstHere({ plan, service }: Operation): readonly Block[] {
  if (!plan.isFirstHere || service.home !== undefined) return [];
  return [
    { kind: 'text', text: [bold('First time here: '), text(`is ${place(plan.base)} the address that you mean?`)] },
  ];
}

/** Two keys where one was meant: whoever approves hears of the other request first. */
function askedBefore({ twin, plan }: Operation): readonly Block[] {
  if (!twin) return [];
  const words: RichText = [
    text('The same was asked for before: '),
    code(twin),
    text(` for ${place(plan.base)} is not over yet. Approve this one as well only if both are wanted.`),
  ];
  return [{ kind: 'text', tone: 'warning', text: words }];
}

/** Said before anybody approves: pictures of the shop's pages may leave for the model's vendor. */
export function seenByModel({ plan: { asksModel } }: Operation): readonly Block[] {
  if (!asksModel) return [];
  const words =
    'If a page is not as it was, pictures of it, with secrets blackened, may be shown to Anthropic’s model to find the way. The model decides nothing and gets no password and no key.';
  return [{ kind: 'text', tone: 'quiet', text: [text(words)] }];
}

/** Said before anybody approves, and long before a password is typed. */
function unencrypted({ plan: { origin } }: Operation): readonly Block[] {
  if (!isUnencrypted(origin)) return [];
  const words =
    'This address begins with http, not https: the password and the new key would travel unencrypted, so that anybody on the way could read them. If the shop can be opened with https, ask again with that address.';
  return [{ kind: 'text', tone: 'warning', text: [text(words)] }];
}

/** Said before anybody approves: what becomes of the key that is there now. */
function replaced(operation: Operation): readonly Block[] {
  const { plan, service } = operation;
  const { replaces, key } = plan;
  if (key) return aboutKey(operation, key);
  if (replaces === null) return [];
  const words = `It takes the place of “${replaces}” in the vault. ${capital(sideOf(service))} goes on knowing that one until somebody revokes it there.`;
  return [{ kind: 'text', tone: 'warning', text: [text(words)] }];
}

/** Which key it is, and what is done with it. */
function aboutKey({ type, plan, service }: Operation, key: NonNullable<Operation['plan']['key']>): readonly Block[] {
  const side = sideOf(service);
  const ends = plan.steps.some(({ risk, permission }) => risk === 'changes' && permission.startsWith('end_'));
  const isDead = plan.repair?.cause === 'broken' || plan.repair?.cause === 'expired';
  const stays = isDead ? 'does not work any more, and stays in the vault' : 'stays in use';
  const words: { readonly [Type in OperationType]?: string } = {
    credential_rotation: ends
      ? ` ${stays} until the new key “${plan.label}” has been proven to work. Then it is ended in ${side}${isDead ? '' : ': whatever still uses it stops working'}.`
      : ` ${stays} until the new key “${plan.label}” has been proven to work. ${capital(side)} goes on knowing it until somebody ends it there: you will be told how.`,
    credential_revocation: ` is ended in ${side} and deleted from the vault. It can’t be brought back: whatever uses it stops working.`,
  };
  const said = words[type.type];
  const name: RichText = [bold(`“${key.label}”`), text(key.lastFour === '' ? '' : ` (…${key.lastFour})`)];
  return said === undefined ? [] : [{ kind: 'text', tone: 'warning', text: [...name, text(said)] }];
}

/** While nothing runs at all, whoever decides knows what their word is worth. */
export function held({ state }: Operation, { pause }: Deciders): readonly Block[] {
  if (state === 'awaiting_consent') return pauseNote(pause, 'What is approved now is kept, and starts when that ends.');
  return state === 'awaiting_credentials' ? pauseNote(pause, 'It starts when that ends.') : [];
}

export function granted(operation: Operation): readonly Permission[] {
  return operation.type.permissions.filter((p) => operation.plan.permissions.includes(p.id));
}

/** What will be done, why, and what is kept: folded, because an approver has five seconds. */
function plan(operation: Operation): Block {
  return {
    kind: 'details',
    summary: 'What will be done, and why',
    blocks: [
      { kind: 'list', isNumbered: true, items: operation.plan.steps.map((step) => ({ text: [text(step.intent)] })) },
      {
        kind: 'facts',
        rows: [
          ...granted(operation).map((p) => ({ label: p.words, value: [text(p.reason)] })),
          { label: 'Stored', value: [text(operation.plan.stores)] },
          { label: 'Pages', value: onlyAt(originsOf(operation.plan)) },
        ],
      },
    ],
  };
}

function onlyAt(origins: readonly string[]): RichText {
  return origins.flatMap((origin, index) => [text(index === 0 ? 'only ' : ', '), code(origin)]);
}

/**
 * What became of the question, and what is waited for next.
 * @param isOneOfSeveral other requests stand on the same card
 */
export function decided(operation: Operation, isOneOfSeveral = false): readonly Block[] {
  const { grant, request, decidedBy } = operation;
  if (grant)
    return [
      signature(operation),
      ...(operation.state === 'awaiting_credentials'
        ? waitingForSignIn(operation, isOneOfSeveral)
        : entered(operation)),
    ];
  if (operation.state === 'denied' && decidedBy)
    return [
      {
        kind: 'signature',
        tone: 'refused',
        text: [
          text('Denied by '),
          person(decidedBy.person),
          ...at(request?.decidedAt),
          ...because(operation.errorMessage),
        ],
      },
    ];
  return [{ kind: 'signature', tone: 'neutral', text: [text(unapprovedWords(operation))] }];
}

/** A failed one has only a restored database forgotten: nobody knows whether it was approved since the backup. */
function unapprovedWords({ state }: Operation): string {
  switch (state) {
    case 'expired':
      return 'Expired: nobody approved it in time. Nothing was done.';
    case 'failed':
      return 'Ended: see its result below.';
    default:
      return 'Cancelled before anybody approved it. Nothing was done.';
  }
}

function signature(operation: Operation): Block {
  const { grant } = operation;
  if (!grant) return { kind: 'signature', tone: 'neutral', text: [] };
  const others = operation.approvals.filter(({ by }) => by.id !== grant.approver.id);
  const words: RichText = [
    text('Countersigned by '),
    ...others.flatMap(
      ({ by }, index): RichText => [bold(by.person.name), text(index === others.length - 1 ? ' and ' : ', ')],
    ),
    bold(grant.approver.person.name),
    ...at(grant.grantedAt),
    text(` · ${accessWords(operation)}`),
  ];
  return grant.revokedAt
    ? { kind: 'signature', tone: 'refused', text: [...words, text(' · revoked'), ...at(grant.revokedAt)] }
    : { kind: 'signature', tone: 'granted', text: words };
}

/** Who entered the sign-in or the key, and when: never what. */
function entered({ signIn, way }: Operation): readonly Block[] {
  if (!signIn) return [];
  const words: RichText = [
    text(
      way.kind === 'granted' ? 'Key granted by ' : way.kind === 'entered' ? 'Key entered by ' : 'Sign-in entered by ',
    ),
    bold(signIn.by.person.name),
    ...at(signIn.at),
    ...(way.kind !== 'browser' ? [] : [text(', deleted when the operation ends')]),
  ];
  return [{ kind: 'signature', tone: 'granted', text: words }];
}

function waitingForSignIn(operation: Operation, isOneOfSeveral: boolean): readonly Block[] {
  const { requester, id, service, way } = operation;
  const isKey = way.kind !== 'browser';
  const label = `Enter the ${isOneOfSeveral ? `${service.name} ` : ''}${isKey ? 'key' : 'sign-in'}`;
  const enter: Button = { label, style: 'primary', action: 'enter_sign_in', value: id };
  const what = isKey
    ? ' to make the key and enter it on a one-time page, which shows the steps. Never write it here.'
    : ` to enter the ${service.name} sign-in on a one-time page. Never write it here.`;
  return [
    {
      kind: 'text',
      text: [text('Waiting for '), person(requester.person), text(what)],
    },
    {
      kind: 'actions',
      buttons: [{ ...enter, for: [requester.person] }, withdraw(operation)],
    },
  ];
}

/** Whoever asked may change their mind; approvers and admins have Deny, and Stop. */
export function withdraw({ id, requester }: Operation): Button {
  const confirm = {
    title: 'Withdraw this request?',
    text: 'Nothing was done yet, and nothing will be.',
    yes: 'Withdraw it',
    isSafe: true,
  };
  return { label: 'Withdraw', style: 'danger', action: 'stop', value: id, confirm, for: [requester.person] };
}

/** Whom the buttons of the question are for: as far as a card can know, since a group's people are the platform's to tell. */
export function audience(operation: Operation, { approvers, rules }: Deciders) {
  if (rules.approverGroup !== null) return { approve: {}, deny: {}, change: {} };
  const { requester, approvals, widened } = operation;
  const persons = (members: readonly Member[]) => ({ for: members.map(({ person }) => person) });
  // Whoever added permissions can't approve them, and may still deny.
  const deniers = [...approvers, ...widened.map(({ by }) => by).filter(({ id }) => id !== requester.id)];
  return {
    approve: persons(approvers.filter((each) => !approvals.some(({ by }) => isSamePerson(by, each)))),
    deny: persons(deniers),
    change: persons([requester, ...deniers]),
  };
}

/** `Abel, Anna or Cem may approve; 2 of them have to. Nothing happens before that.` */
export function whoMay({ approvers, rules }: Deciders): string {
  const group = rules.approverGroup === null ? [] : [`anybody in the group ${rules.approverGroup}`];
  const who = oneOf([...approvers.map(({ person: { name } }) => name), ...group]);
  const several = rules.approvalsRequired > 1 ? `; ${rules.approvalsRequired} of them have to` : '';
  return `${who} may approve${several}. Nothing happens before that.`;
}

/** `1 of 2: Abel at 09:14`, and whether the rest can be had at all. */
export function soFar(operation: Operation, { admins, rules, lack }: Deciders): readonly Block[] {
  const { approvals } = operation;
  const required = rules.approvalsRequired;
  if (required === 1) return [];
  const given = approvals.flatMap(
    ({ by, at: moment }, index): RichText => [text(index === 0 ? ': ' : ', '), bold(by.person.name), ...at(moment)],
  );
  const count: Block = {
    kind: 'signature',
    tone: approvals.length > 0 ? 'granted' : 'neutral',
    text: [text(`${approvals.length} of ${required} approvals`), ...given],
  };
  if (lack === undefined) return [count];
  return [count, { kind: 'text', tone: 'warning', text: [text(lackWords(lack, operation, admins))] }];
}

/** What is missing, and who can do something about it. */
export function lackWords(lack: Lack, { requester, widened }: Operation, admins: readonly Member[]): string {
  switch (lack) {
    case 'nobody':
      return `Nobody may approve this yet. ${names(admins)} can choose who does.`;
    case 'own': {
      const why =
        widened.length > 0
          ? 'everybody who may has asked for it or added to it'
          : `${requester.person.name}, who asked for it, is the only one who may`;
      return `Nobody can approve this as things stand: ${why}, and nobody approves their own request. ${names(admins)} can choose somebody else, with /countersign settings.`;
    }
    case 'too_few':
      return `There are fewer people who may approve this than it takes. ${names(admins)} can change that, with /countersign settings.`;
  }
}

/** `Ada, Abel: ` */
export function called(members: readonly Member[]): RichText {
  const all = members.flatMap(({ person: who }, index): RichText => [text(index === 0 ? '' : ', '), person(who)]);
  return all.length > 0 ? [...all, text(': ')] : [];
}

/** More than was asked for: said, with whose wish it is. */
export function widening({ widened, requester, type }: Operation): readonly Block[] {
  return [...new Set(widened.map(({ by }) => by.id))].map((id) => {
    const theirs = widened.filter(({ by }) => by.id === id);
    const added = theirs.map(
      ({ permission }) => type.permissions.find((p) => p.id === permission)?.words ?? permission,
    );
    const who = theirs[0]?.by.person.name ?? 'Somebody';
    const words = `${who} added “${added.join('”, “')}”, which ${requester.person.name} did not ask for. So somebody other than ${who} has to approve.`;
    return { kind: 'text', tone: 'warning', text: [text(words)] };
  });
}

/** `read only`, `read and write` */
export function accessWords(operation: Operation): string {
  const scope = operation.plan.values.scope;
  if (scope === 'account') return 'everything that the account may';
  return scope === 'read'
    ? 'read only'
    : scope === 'write'
      ? 'write only'
      : scope === 'read_write'
        ? 'read and write'
        : 'as shown';
}

export function at(moment: Date | null | undefined): RichText {
  return moment ? [text(' at '), clock(moment)] : [];
}

function because(reason: string | null | undefined): RichText {
  return reason ? [text(`: “${reason}”`)] : [];
}
