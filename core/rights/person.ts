import { z } from 'zod';
import { Prisma } from '../../prisma/generated/client.ts';
import { type Audit, headerText } from '../audit/audit.ts';
import { type Customers, isErased, type Member } from '../customers/customers.ts';
import type { Database } from '../database.ts';
import { type CustomerId, type MemberId, newUuid } from '../ids.ts';
import { ATTRIBUTIONS } from '../operations/attribution.ts';
import { isKeptToEnd } from '../operations/kept-key.ts';
import { deleteRows } from '../vault/records.ts';

const BATCH = 200; // each payload is opened, which takes a while

/** Entries whose words name a person, by whomever, see `namingOf`. */
export async function wordsNaming(
  { database, audit, customers }: NamingDeps & { readonly audit: Audit },
  customerId: CustomerId,
  member: Member,
): Promise<readonly bigint[]> {
  if (isErased(member)) return []; // done before
  const { person } = member;
  const naming = await database.withCustomer(customerId, async (tx) =>
    namingOf(person, await customers.rules(tx, customerId)),
  );
  const found: bigint[] = [];
  for (let after = 0n; ; ) {
    const entries = await database.withCustomer(customerId, async (tx) => {
      const where = { customerId, seq: { gt: after }, payload: { not: null } };
      const rows = await tx.auditEntry.findMany({ where, orderBy: { seq: 'asc' }, take: BATCH });
      const opened = [];
      // One transaction is one connection: its queries go one after the other.
      for (const row of rows) opened.push(await audit.read(tx, customerId, row));
      return opened;
    });
    for (const { seq, payload } of entries) if (textsIn(payload).some((text) => naming.test(text))) found.push(seq);
    const last = entries.at(-1);
    if (!last) return found;
    after = last.seq;
  }
}

/** Takes why somebody else's operation ended, where it says their name, such as “Stopped by Mona.” */
export async function forgetNamed(
  { database, customers }: NamingDeps,
  customerId: CustomerId,
  member: Member,
): Promise<void> {
  if (isErased(member)) return; // done before
  const { person } = member;
  await database.withCustomer(customerId, async (tx) => {
    const naming = namingOf(person, await customers.rules(tx, customerId));
    const where = { customerId, errorMessage: { not: null } };
    const rows = await tx.operation.findMany({ where, select: { id: true, errorMessage: true } });
    const ids = rows.filter(({ errorMessage }) => naming.test(errorMessage ?? '')).map((row) => row.id);
    await tx.operation.updateMany({ where: { customerId, id: { in: ids } }, data: { errorMessage: null } });
  });
}

interface NamingDeps {
  readonly database: Database;
  readonly customers: Pick<Customers, 'rules'>;
}

/**
 * What in a text means this person: an id of a chat platform, and a full name as they spell it, unless the customer itself is called
 * that. One word alone (“Al”, “the”, “Approver”), or words without a capital (“set up”), may mean anybody or nothing, and would take
 * everybody’s words: they count after an @, and where the program itself says who did something.
 */
function namingOf({ name, userId }: Member['person'], customer: { readonly name: string }): RegExp {
  const called = name.trim();
  const isFull = /\s/.test(called) && /[\p{Lu}\p{Lo}]/u.test(called) && called !== customer.name.trim();
  const alone = [...(isFull ? [called] : []), ...(/\p{N}/u.test(userId) ? [userId] : [])];
  const either = [called, userId].filter((each) => each !== '');
  const forms = [
    ...alone.map(escaped),
    ...either.map((each) => `@${escaped(each)}`),
    ...Object.values(ATTRIBUTIONS).map(
      ([before, after]) => `${escaped(before)}${escaped(called || userId)}(?=${escaped(after)})`,
    ),
  ];
  return new RegExp(`(?<![\\p{L}\\p{N}])(?:${forms.join('|')})(?![\\p{L}\\p{N}])`, 'u');
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}

/** Every text of a value, names of fields included, as it is and not as JSON spells it. */
function textsIn(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value];
  if (Array.isArray(value)) return value.flatMap(textsIn);
  if (value !== null && typeof value === 'object')
    return Object.entries(value).flatMap(([name, field]) => [name, ...textsIn(field)]);
  return [];
}

/** Roles, and the sign-in secrets that they entered, but no key of the customer's: each by the program's own word. */
export function takeAccess(
  { database, audit }: { readonly database: Database; readonly audit: Audit },
  customerId: CustomerId,
  memberId: MemberId,
): Promise<void> {
  return database.withCustomer(customerId, async (tx) => {
    const roles = database.vouched('member', customerId, `${memberId}|roles|`, Prisma.sql`'{}'::text[]`);
    await tx.$executeRaw`
      UPDATE members SET roles = ${roles}
      WHERE customer_id = ${customerId}::uuid AND id = ${memberId}::uuid AND cardinality(roles) > 0`;
    // Also for what others asked for, such as what is kept for repairs.
    const entered = enteredRows.parse(
      await tx.$queryRaw`
        SELECT DISTINCT operation_id AS id FROM autonomous_operations_audit
        WHERE customer_id = ${customerId}::uuid AND kind = 'credentials.entered' AND header::jsonb ->> 'actor' = ${memberId}`,
    );
    const operationId = { in: entered.map(({ id }) => id) };
    const found = await tx.credential.findMany({
      where: { customerId, OR: [{ operationRow: { userId: memberId } }, { operationId }] },
      select: { id: true, credentialType: true, credentialMetadata: true },
    });
    // Without it nobody could end at the service what is still taken there.
    const theirs = found.filter(({ credentialMetadata }) => !isKeptToEnd(credentialMetadata));
    await deleteRows(tx, database, customerId, theirs);
    for (const { id, credentialType } of theirs)
      await audit.append(tx, customerId, { kind: 'credential.deleted', credentialId: id, credentialType });
  });
}

const enteredRows = z.array(z.object({ id: z.string() }));
const goneRows = z.tuple([z.object({ gone: z.bigint() })]);

/** @returns how many rows went. */
export function erasePersonRows(
  { database }: { readonly database: Database },
  customerId: CustomerId,
  memberId: MemberId,
): Promise<bigint> {
  return database.withCustomer(customerId, async (tx) => {
    const header = headerText(customerId, newUuid(), { kind: 'member.erased', erasedMember: memberId });
    await database.vouch(tx, 'audit', customerId, header);
    const [{ gone }] = goneRows.parse(await tx.$queryRaw`SELECT gone FROM app.erase_person(${header})`);
    // Whose chat it was is on record of none of these, so those of everybody go.
    const [bare] = goneRows.parse(await tx.$queryRaw`SELECT app.forget_bare_threads() AS gone`);
    return gone + bare.gone;
  });
}
