import { type ApiToken, SCOPES, SCOPES_OF_MEMBERS, type Scope } from '../../core/customers/api-tokens.ts';
import type { Member } from '../../core/customers/customers.ts';
import type { CustomerId } from '../../core/ids.ts';
import type { Foundation } from '../foundation.ts';
import { type Call, type Command, misused } from './command.ts';
import { CUSTOMER, customerOf, memberLines, memberNamed } from './whom.ts';

const MOST_DAYS = 366;

/** `token create`: the one time that a token is shown. */
export const tokenCreate: Command = {
  usage: 'token create',
  summary: 'Makes a token of the HTTP API for a customer and prints it, this one time; it is on record.',
  options: {
    customer: CUSTOMER,
    scope: { type: 'string', help: `what it may do, with commas between: ${SCOPES.join(', ')}` },
    member: {
      type: 'string',
      help: `for whom it acts, needed for ${SCOPES_OF_MEMBERS.join(', ')}: the id, the platform’s id, or the name of a member`,
    },
    days: { type: 'string', help: `how long it is good for, up to ${MOST_DAYS}; 90 by default`, default: '90' },
  },
  async run(call) {
    const scopes = scopesOf(call);
    const days = Number(call.values.days);
    if (!scopes) return misused(call, `Say what it may do (--scope): ${SCOPES.join(', ')}.`);
    if (!Number.isInteger(days) || days < 1 || days > MOST_DAYS)
      return misused(call, `The days are a whole number from 1 to ${MOST_DAYS}.`);
    const foundation = await call.open();
    const customer = await customerOf(call, foundation);
    if (typeof customer !== 'string') return 2;
    const member = await memberOf(call, foundation, customer, scopes);
    if (member === 'misused') return 2;
    const acting = member ? { member: member.id } : {};
    const { token, stored } = await foundation.apiTokens.create(customer, { scopes, days, ...acting });
    call.complain(`${tokenLine(stored)}\nThis is the token. It is kept nowhere and not shown again:`);
    call.say(token.reveal());
    return 0;
  },
};

export const tokenList: Command = {
  usage: 'token list',
  summary: 'Tokens of the HTTP API, those that are over included; never a token itself.',
  options: { customer: { ...CUSTOMER, help: `${CUSTOMER.help}; without it, of all customers` } },
  async run(call) {
    const foundation = await call.open();
    const customers = await customersOf(call, foundation);
    for (const id of customers ?? [])
      for (const token of await foundation.apiTokens.list(id)) call.say(tokenLine(token));
    return customers ? 0 : 2;
  },
};

export const tokenRevoke: Command = {
  usage: 'token revoke ID',
  summary: 'Takes a token back, for good and at once; it is on record. The id is the one that token list prints.',
  options: { customer: { ...CUSTOMER, help: `${CUSTOMER.help}; not needed` } },
  async run(call) {
    const [id = ''] = call.args;
    if (!/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id))
      return misused(call, 'A token is named by its id, as `token list` prints it, and not by the token itself.');
    const foundation = await call.open();
    const customers = await customersOf(call, foundation);
    if (!customers) return 2;
    for (const customer of customers)
      if (await foundation.apiTokens.revoke(customer, id)) {
        call.say(`${id} is revoked.`);
        return 0;
      }
    call.complain('There is no such token, or it was revoked before.');
    return 1;
  },
};

function tokenLine({
  id,
  customerId,
  scopes,
  expiresAt,
  lastUsedAt,
  revokedAt,
  isExpired,
  memberId,
  createdBy,
}: ApiToken): string {
  return [
    ...[id, `customer ${customerId}`, scopes.join(',')],
    `${isExpired ? 'expired' : 'until'} ${expiresAt.toISOString()}`,
    lastUsedAt ? `last used ${lastUsedAt.toISOString()}` : 'never used',
    ...(memberId ? [`for member ${memberId}`] : []),
    ...(createdBy ? [`by member ${createdBy}`] : []),
    ...(revokedAt ? [`revoked ${revokedAt.toISOString()}`] : []),
  ].join('  ');
}

function scopesOf({ values: { scope } }: Call): readonly Scope[] | undefined {
  const asked = typeof scope === 'string' ? scope.split(',').map((word) => word.trim()) : [];
  const known = SCOPES.filter((name) => asked.includes(name));
  return asked.length > 0 && known.length === new Set(asked).size ? known : undefined;
}

/** Whom the token is to act for; `misused` after a complaint, which says whom there is. */
async function memberOf(
  call: Call,
  foundation: Foundation,
  customer: CustomerId,
  scopes: readonly Scope[],
): Promise<Member | 'misused' | undefined> {
  const { member: named } = call.values;
  if (typeof named === 'string') return (await memberNamed(call, foundation, customer, named)) ?? 'misused';
  const acting = scopes.filter((scope) => SCOPES_OF_MEMBERS.includes(scope));
  if (acting.length === 0) return undefined;
  const { database, customers } = foundation;
  const members = await database.withCustomer(customer, (tx) => customers.members(tx, customer));
  const lead = `What is done with ${acting.join(', ')} is done by somebody: say by whom (--member).`;
  call.complain([lead, ...memberLines(members)].join('\n'));
  return 'misused';
}

/** All of them where none is named; `undefined` after a complaint. */
async function customersOf(call: Call, foundation: Foundation): Promise<readonly CustomerId[] | undefined> {
  if (call.values.customer === undefined) return foundation.directory.customers();
  const customer = await customerOf(call, foundation);
  return customer && [customer];
}
