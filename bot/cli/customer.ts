import { createHash } from 'node:crypto';
import { mkdir, open, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isSamePerson, type Member } from '../../core/customers/customers.ts';
import { type CustomerId, parseOperationId } from '../../core/ids.ts';
import { createErasures, type ErasureOutcome, isErasureBegun } from '../../core/rights/erasure.ts';
import { type ExportFolder, exportCustomer, type Manifest } from '../../core/rights/export.ts';
import type { Foundation } from '../foundation.ts';
import { type Call, type Command, counted, misused } from './command.ts';
import { customerNamed, memberNamed, nameOfCustomer, nameShown } from './whom.ts';

const MEMBER = {
  type: 'string',
  help: 'one person alone: the id, the platform’s id, or the name of a member',
} as const;

/** `customer hold`: a legal hold, of a customer or of one operation. */
export const customerHold: Command = {
  usage: 'customer hold NAME STATE',
  summary:
    'Places a legal hold (on), or releases it (off): nothing of the customer, or of one operation, is dropped or erased.',
  options: {
    operation: { type: 'string', help: 'this operation alone, op-…' },
    reason: { type: 'string', help: 'why, which goes on record' },
  },
  async run(call) {
    const { operation, reason } = call.values;
    const [, state] = call.args;
    const operationId = typeof operation === 'string' ? parseOperationId(operation) : undefined;
    if (state !== 'on' && state !== 'off') return misused(call, 'A hold is on or off.');
    if (typeof reason !== 'string' || reason.trim() === '')
      return misused(call, 'Say why (--reason TEXT): it goes on record.');
    if (operation !== undefined && !operationId) return misused(call, 'An operation looks like op-7k3f9q2m.');
    const foundation = await call.open();
    const customer = await customerNamed(call, foundation, call.args[0] ?? '');
    if (!customer) return 2;
    const { database, operations, retention } = foundation;
    if (operationId && !(await database.withCustomer(customer, (tx) => operations.get(tx, customer, operationId))))
      return misused(call, 'This customer has no such operation.');
    const change = state === 'on' ? retention.placeHold : retention.releaseHold;
    await change(customer, { why: reason.trim(), ...(operationId ? { operationId } : {}) });
    const what = operationId ?? 'this customer';
    call.say(
      state === 'on' ? `Nothing of ${what} is dropped or erased from now on.` : `The hold of ${what} is released.`,
    );
    return 0;
  },
};

/** `customer export`: everything of a customer, or of a person, into a folder. */
export const customerExport: Command = {
  usage: 'customer export NAME',
  summary:
    'Writes everything of a customer, or of one person, into a folder: JSON, pictures, and a manifest with hashes; no secret.',
  options: { to: { type: 'string', help: 'the folder, which is made, or is empty' }, member: MEMBER },
  async run(call) {
    const { to } = call.values;
    if (typeof to !== 'string' || to === '') return misused(call, 'Say where to write (--to FOLDER).');
    const foundation = await call.open();
    const customer = await customerNamed(call, foundation, call.args[0] ?? '');
    if (!customer) return 2;
    const people = await peopleNamed(call, foundation, customer);
    if (people === 'misused') return 2;
    await mkdir(to, { recursive: true, mode: 0o700 });
    if ((await readdir(to)).length > 0) return misused(call, `${to} is not empty: an export has a folder of its own.`);
    const ids = people?.map(({ id }) => id);
    const manifest = await exportCustomer(foundation, customer, ids, folderAt(to));
    call.say(exportWords(manifest, to));
    return 0;
  },
};

/** `customer erase`: a customer, or a person, for good. */
export const customerErase: Command = {
  usage: 'customer erase NAME',
  summary:
    'Erases a customer, or one person, for good: keys, rows, pictures, tokens; prints a signed receipt. May be begun again.',
  options: {
    member: MEMBER,
    force: { type: 'boolean', help: 'ends what is under way, instead of refusing' },
    confirm: { type: 'string', help: 'the name of whom it erases, once more' },
    yes: { type: 'boolean', help: 'asks nothing' },
    'keep-space': {
      type: 'boolean',
      help: 'leaves the bytes of deleted rows to PostgreSQL’s own upkeep, and locks no table',
    },
  },
  async run(call) {
    const foundation = await call.open();
    const customer = await customerNamed(call, foundation, call.args[0] ?? '');
    if (!customer) return 2;
    const people = await peopleNamed(call, foundation, customer);
    if (people === 'misused') return 2;
    if (!(await isConfirmed(call, foundation, customer, people))) return 2;
    const { ownerUrl } = foundation;
    const isKept = call.values['keep-space'] === true;
    if (!isKept && ownerUrl === undefined)
      return misused(
        call,
        'The tables are written anew as the database’s owner: give DATABASE_OWNER_URL, or --keep-space.',
      );
    const again = `customer erase ${customer}${people ? ` --member ${people.at(-1)?.id}` : ''}`;
    const reclaim = async (url: string) => {
      const { isLogEnded, stillOpen } = await call.reclaimSpace(url);
      if (!isLogEnded)
        call.complain('PostgreSQL’s log of changes (WAL) still holds it until it is overwritten: see docs/privacy.md.');
      if (stillOpen.length > 0) call.complain(openWords(stillOpen));
      return stillOpen.length === 0;
    };
    const erasures = createErasures({
      ...foundation,
      revokeSlackToken: call.revokeSlackToken,
      ...(isKept || ownerUrl === undefined ? {} : { reclaim: () => reclaim(ownerUrl) }),
    });
    const options = { isForced: call.values.force === true };
    call.complain(`Should this be cut off, \`${again}\` goes on; it asks for no name, which may be gone by then.`);
    const outcomes = people
      ? await eachOf(people, ({ id }) => erasures.ofMember(customer, id, options))
      : [await erasures.ofCustomer(customer, options)];
    const code = Math.max(...outcomes.map((outcome) => sayOutcome(call, outcome)));
    const last = outcomes.at(-1);
    if (isKept || last?.kind !== 'erased' || last.isRewritten) return code;
    call.complain(`On the disk it is not finished: run \`${again}\` once more.`);
    return 1;
  },
};

/** `customer link`: which accounts are one person; with one account, it is nobody else’s. */
export const customerLink: Command = {
  usage: 'customer link NAME',
  summary:
    'Corrects who is who: these accounts are one person from now on; one account alone is nobody else’s any more.',
  options: {
    member: {
      ...MEMBER,
      multiple: true,
      help: 'an account; given once for each: its id, the platform’s id, or its name',
    },
  },
  async run(call) {
    const named = Array.isArray(call.values.member) ? call.values.member : [];
    if (named.length === 0) return misused(call, 'Say which accounts (--member A --member B).');
    const foundation = await call.open();
    const customer = await customerNamed(call, foundation, call.args[0] ?? '');
    if (!customer) return 2;
    const accounts: Member[] = [];
    for (const name of named) {
      const account = await memberNamed(call, foundation, customer, name);
      if (!account) return 2;
      accounts.push(account);
    }
    const { database, customers, audit } = foundation;
    await database.withCustomer(customer, async (tx) => {
      await customers.link(tx, customer, accounts);
      const payload = { linked: accounts.map(({ id }) => id), by: 'the operator' };
      await audit.append(tx, customer, { kind: 'rules.changed', payload });
    });
    const who = accounts.map(({ person }) => `${nameShown(person.name)} (${person.platform})`).join(' and ');
    call.say(accounts.length > 1 ? `${who} are one person now.` : `${who} is nobody else’s account now.`);
    return 0;
  },
};

/** Whoever is named comes last: as long as another account of theirs is not erased, they lead to it. */
async function eachOf<T>(
  all: readonly T[],
  erase: (one: T) => Promise<ErasureOutcome>,
): Promise<readonly ErasureOutcome[]> {
  const done: ErasureOutcome[] = [];
  for (const one of all) {
    const outcome = await erase(one);
    done.push(outcome);
    if (outcome.kind !== 'erased') break;
  }
  return done;
}

function sayOutcome(call: Call, outcome: ErasureOutcome): number {
  switch (outcome.kind) {
    case 'erased':
      if (!outcome.isNew && outcome.isRewritten)
        call.complain('The tables are written anew: no deleted row is left in them.');
      call.complain(
        outcome.isNew
          ? 'Erased. This is the receipt, which is kept:'
          : 'It was erased before. This is the receipt of then:',
      );
      call.say(outcome.receipt.trimEnd());
      return 0;
    case 'held':
      call.complain(
        'A legal hold keeps it, of the customer or of an operation that they took part in: nothing was erased. `customer hold NAME off --reason TEXT` releases it, of one operation with --operation op-….',
      );
      return 1;
    case 'running':
      call.complain(
        `${counted(outcome.operations.length, 'operation is', 'operations are')} under way (${outcome.operations.slice(0, 5).join(', ')}): nothing was erased. --force ends them first.`,
      );
      return 1;
    case 'unknown':
      call.complain('There is no such customer or member.');
      return 1;
    default:
      return outcome satisfies never;
  }
}

/** What keeps deleted rows in the files, and how that ends. @param pids of the server's processes; 0: of none */
function openWords(pids: readonly number[]): string {
  const all = pids.map((pid) => (pid > 0 ? `SELECT pg_terminate_backend(${pid})` : 'ROLLBACK PREPARED'));
  return `Deleted rows may be left in the files: ${counted(pids.length, 'transaction was', 'transactions were')} open before and did not end. What ends them: ${all.join('; ')}.`;
}

/**
 * Typed once more, the name or the id, as an option or where a person sits at the terminal. One that was begun was confirmed then,
 * and knows no name any more.
 */
async function isConfirmed(
  call: Call,
  foundation: Foundation,
  customer: CustomerId,
  people: readonly Member[] | undefined,
): Promise<boolean> {
  if (call.values.yes === true) return true;
  const account = people?.at(-1);
  const isBegun = await foundation.database.withCustomer(customer, (tx) => isErasureBegun(tx, customer, account?.id));
  if (isBegun) return true;
  const name = account ? nameShown(account.person.name) : await nameOfCustomer(foundation, customer);
  const others =
    people && people.length > 1 ? `, with ${counted(people.length - 1, 'other account', 'other accounts')}` : '';
  const what = account ? `the person ${name}${others}` : `the customer ${name}, with everything that is stored for it`;
  const typed = call.values.confirm ?? (await call.ask(`This erases ${what}, for good. Type the name to go on: `));
  if (typed === name || typed === (account?.id ?? customer)) return true;
  call.complain(
    `This erases ${what}, for good. Type its name once more (--confirm "${name}"), or give --yes. Nothing was erased.`,
  );
  return false;
}

/** All accounts of the person that is named, that one last; `undefined`: none is. */
async function peopleNamed(
  call: Call,
  foundation: Foundation,
  customer: CustomerId,
): Promise<readonly Member[] | 'misused' | undefined> {
  const { member } = call.values;
  if (typeof member !== 'string') return undefined;
  const account = await memberNamed(call, foundation, customer, member);
  if (!account) return 'misused';
  const { database, customers } = foundation;
  const members = await database.withCustomer(customer, (tx) => customers.members(tx, customer));
  const others = members.filter((member) => isSamePerson(member, account) && member.id !== account.id);
  return [...others, account];
}

function folderAt(to: string): ExportFolder {
  return {
    async write(name, pieces) {
      const file = join(to, name);
      await mkdir(dirname(file), { recursive: true, mode: 0o700 });
      const handle = await open(file, 'wx', 0o600);
      const hash = createHash('sha256');
      let bytes = 0;
      try {
        for await (const piece of pieces) {
          const part = typeof piece === 'string' ? Buffer.from(piece) : piece;
          hash.update(part);
          bytes += part.length;
          await handle.appendFile(part);
        }
        await handle.sync();
      } finally {
        await handle.close();
      }
      return { sha256: hash.digest('hex'), bytes };
    },
  };
}

function exportWords({ files, withheld }: Manifest, to: string): string {
  const rows = files.reduce((sum, file) => sum + (file.file.startsWith('tables/') ? file.rows : 0), 0);
  const pictures = files.filter(({ file }) => file.startsWith('pictures/')).length;
  return `Wrote ${counted(files.length, 'file')} to ${to}: ${counted(rows, 'row')}, ${counted(pictures, 'picture')}. manifest.json has the hash of each, and names the ${withheld.length} columns that hold secrets or hashes and are not shown.`;
}
