import type { Member } from '../../core/customers/customers.ts';
import type { CustomerId } from '../../core/ids.ts';
import { withoutTricks } from '../../core/plain-text.ts';
import type { Foundation } from '../foundation.ts';
import type { Call } from './command.ts';

/** How every command is told of a customer. */
export const CUSTOMER = { type: 'string', help: 'the name or the id of the customer' } as const;
const MOST_LISTED = 20;

/** A name as a terminal shows it and people type it: on one line, without what turns writing round or moves a cursor. */
export function nameShown(name: string): string {
  return withoutTricks(name).replace(/\s+/g, ' ').trim();
}

/** As a terminal shows it. */
export async function nameOfCustomer({ database, customers }: Foundation, id: CustomerId): Promise<string> {
  return nameShown((await database.withCustomer(id, (tx) => customers.rules(tx, id))).name);
}

/** The customer of `--customer`. `undefined` after a complaint. */
export async function customerOf(call: Call, foundation: Foundation): Promise<CustomerId | undefined> {
  const { customer: named } = call.values;
  if (typeof named !== 'string' || named === '') return void call.complain('Say which customer (--customer NAME).');
  return customerNamed(call, foundation, named);
}

/** By id, before any name, or by a name that one customer alone has; an erased one by its id. `undefined` after a complaint. */
export async function customerNamed(
  call: Call,
  { directory, database, customers }: Foundation,
  named: string,
): Promise<CustomerId | undefined> {
  const all = [...new Set([...(await directory.customers()), ...(await directory.customersOnRecord())])];
  const byId = all.find((id) => id === named.toLowerCase());
  if (byId) return byId;
  const found: CustomerId[] = [];
  const begun: CustomerId[] = [];
  for (const id of all) {
    const { rules, isBeingErased } = await database.withCustomer(id, async (tx) => ({
      rules: await customers.rules(tx, id),
      isBeingErased: (await tx.erasure.count({ where: { customerId: id, memberId: null, finishedAt: null } })) > 0,
    }));
    if (isBeingErased) begun.push(id);
    if (rules.erasedAt === null && isCalled(rules.name, named)) found.push(id);
  }
  if (found.length > 1)
    return void call.complain(`Several customers have this name. Say which by its id: ${found.join(', ')}.`);
  if (!found[0]) {
    const cutOff =
      begun.length > 0
        ? ` An erasure was begun of ${begun.join(', ')}, which may have taken the name: say that id.`
        : '';
    call.complain(`There is no customer “${nameShown(named)}”. \`vault list\` prints the ids of all.${cutOff}`);
  }
  return found[0];
}

/** By id, before the platform's id, before a name that one member alone has. `undefined` after a complaint, which lists whom there is. */
export async function memberNamed(
  call: Call,
  { database, customers }: Foundation,
  customer: CustomerId,
  named: string,
): Promise<Member | undefined> {
  const members = await database.withCustomer(customer, (tx) => customers.members(tx, customer));
  // Anybody may call themselves what somebody else's id is.
  const [found = []] = [
    members.filter(({ id }) => id === named.toLowerCase()),
    members.filter(({ person }) => person.userId === named),
    members.filter(({ person }) => isCalled(person.name, named)),
  ].filter(({ length }) => length > 0);
  if (found.length === 1) return found[0];
  const lead = `${found.length === 0 ? 'Nobody' : 'More than one'} of this customer’s members is “${nameShown(named)}”.`;
  const advice = found.length === 0 ? ['Whoever writes to Countersign in chat becomes a member.'] : [];
  return void call.complain([lead, ...memberLines(found.length > 1 ? found : members), ...advice].join('\n'));
}

/** Whom there is to choose from. */
export function memberLines(members: readonly Member[]): readonly string[] {
  if (members.length === 0) return ['There is no member yet.'];
  const lines = members
    .slice(0, MOST_LISTED)
    .map(({ id, person, roles }) =>
      [id, `${person.platform} ${person.userId}`, nameShown(person.name), roles.join(',')].join('  '),
    );
  return ['There is:', ...lines];
}

function isCalled(name: string, named: string): boolean {
  return named === name || named === nameShown(name);
}
