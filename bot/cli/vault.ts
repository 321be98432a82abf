import type { CustomerId } from '../../core/ids.ts';
import type { KeyVersion, RotationOutcome } from '../../core/vault/rotation.ts';
import type { Foundation } from '../foundation.ts';
import { type Call, type Command, counted } from './command.ts';
import { CUSTOMER, customerOf, nameOfCustomer } from './whom.ts';

/** What may be shown of a customer's secrets: never a value. */
export const vaultList: Command = {
  usage: 'vault list',
  summary: 'Stored credentials of a customer, and the versions of its key; never a value.',
  options: { customer: { ...CUSTOMER, help: `${CUSTOMER.help}; without it, the ids and names of all customers` } },
  async run(call) {
    const foundation = await call.open();
    if (call.values.customer === undefined) {
      const customers = await foundation.directory.customers();
      for (const id of customers) call.say(`${id}  ${await nameOfCustomer(foundation, id)}`);
      if (customers.length === 0) call.say('There is no customer yet.');
      return 0;
    }
    const named = await customerOf(call, foundation);
    if (!named) return 2;
    const [keys, credentials] = [await foundation.keyRotation.versions(named), await foundation.vault.list(named)];
    for (const key of keys) call.say(keyLine(key));
    for (const { id, service, target, credentialType, expiresAt, rotationRequired } of credentials)
      call.say(
        [
          ...[id, service, target || '–', credentialType],
          ...(expiresAt ? [`until ${expiresAt.toISOString()}`] : []),
          ...(rotationRequired ? ['to be rotated'] : []),
        ].join('  '),
      );
    if (keys.length === 0 && credentials.length === 0) call.say('Nothing is stored for this customer.');
    return 0;
  },
};

export const vaultRotate: Command = {
  usage: 'vault rotate',
  summary:
    'New keys for customers, or with --root their keys under the newest root key. May be stopped and begun again.',
  options: {
    customer: { ...CUSTOMER, help: `${CUSTOMER.help}; without it, all of them` },
    root: { type: 'boolean', help: 'once it says that nothing is left, ENCRYPTION_KEYS_OLD can be dropped' },
  },
  async run(call) {
    const foundation = await call.open();
    const isAll = call.values.customer === undefined;
    const named = isAll ? undefined : await customerOf(call, foundation);
    if (!isAll && !named) return 2;
    const customers = named ? [named] : await foundation.directory.customers();
    return call.values.root === true
      ? rotateRoot(call, foundation, customers, isAll)
      : rotateCustomers(call, foundation, customers);
  },
};

async function rotateRoot(
  call: Call,
  { keyRotation }: Foundation,
  customers: readonly CustomerId[],
  isAll: boolean,
): Promise<number> {
  let rewrapped = 0;
  for (const id of customers) rewrapped += await keyRotation.rewrapUnderRoot(id);
  call.say(
    rewrapped === 0
      ? `Nothing to do: of ${counted(customers.length, 'customer')} no key version is left under an older root key.`
      : `${counted(rewrapped, 'key version')} of ${counted(customers.length, 'customer')} ${rewrapped === 1 ? 'was' : 'were'} wrapped anew, under the newest root key.`,
  );
  if (isAll)
    call.say(
      rewrapped === 0
        ? 'ENCRYPTION_KEYS_OLD can be dropped if every process was restarted with the new ENCRYPTION_KEY before this.'
        : 'A process that runs with the old ENCRYPTION_KEY may wrap more: restart every process with the new one first, then run this, and again until it says that nothing is left.',
    );
  return 0;
}

async function rotateCustomers(
  call: Call,
  { keyRotation }: Foundation,
  customers: readonly CustomerId[],
): Promise<number> {
  let unreadable = 0;
  let sealed = 0;
  for (const id of customers) {
    if ((await keyRotation.versions(id)).length === 0) continue; // nothing was ever sealed
    sealed++;
    const outcome = await keyRotation.rotateCustomerKeys(id);
    call.say(`${id}  ${rotationWords(outcome)}`);
    if (outcome.kind === 'rotated') unreadable += outcome.unreadable;
  }
  if (sealed === 0)
    call.say(
      `Nothing to do: nothing was ever sealed for ${customers.length === 1 ? 'this customer' : 'any customer'}.`,
    );
  if (unreadable > 0)
    call.complain(
      `${counted(unreadable, 'secret does', 'secrets do')} not open where ${unreadable === 1 ? 'it lies, and was left as it is' : 'they lie, and were left as they are'}: see the audit trail.`,
    );
  return unreadable > 0 ? 1 : 0;
}

function rotationWords(outcome: RotationOutcome): string {
  if (outcome.kind === 'lost') return 'was rotated by somebody else just now';
  const { from: old, to: next, rewrapped, destroyed, kept } = outcome;
  const versions = (words: string, list: readonly number[]) =>
    list.length > 0 ? `, ${list.map((version) => `v${version}`).join(' ')} ${words}` : '';
  return `v${old} → v${next}, ${counted(rewrapped, 'secret')} rewrapped${versions('destroyed', destroyed)}${versions('kept for older entries and pictures', kept)}`;
}

function keyLine({ version, state, createdAt, seals }: KeyVersion): string {
  return `key v${version}  ${state.replaceAll('_', ' ')}  since ${createdAt.toISOString()}  about ${counted(seals, 'seal')}`;
}
