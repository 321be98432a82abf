import { type Customer, type Member as MemberRow, Prisma } from '../../prisma/generated/client.ts';
import type { Database, Transaction } from '../database.ts';
import { isUniqueViolation } from '../database-errors.ts';
import type { Directory } from '../directory.ts';
import { customerId as asCustomerId, type CustomerId, type MemberId, memberId, newUuid } from '../ids.ts';
import type { Person, Platform } from '../ports/chat.ts';

export type Role = 'merchant' | 'approver' | 'admin';

/** A person as this customer knows them. */
export interface Member {
  readonly id: MemberId;
  readonly person: Person;
  /** The same for accounts that an admin linked: one person, however many accounts. */
  readonly personId: string;
  readonly roles: readonly Role[];
}

/** Whether two accounts are one person's. What somebody may do with what they asked for, they may by any account of theirs. */
export function isSamePerson(one: Pick<Member, 'personId'>, other: Pick<Member, 'personId'>): boolean {
  return one.personId === other.personId;
}

/** Whether the account was erased: `app.erase_person` leaves no platform's id. */
export function isErased({ id, person }: Pick<Member, 'id' | 'person'>): boolean {
  return person.userId === `erased ${id}`;
}

/** Customers, their workspaces and members. Who is who is decided by (platform, workspace, user), never by a name. */
export interface Customers {
  /** The customer of this workspace; made on first use, with the installer as its first admin. */
  install(workspace: { platform: Platform; workspaceId: string; name: string }, installer: Person): Promise<CustomerId>;
  /** Nobody decides anything any more, but for this one member, who is an admin: as on the first day. Accounts stay linked. */
  beginAfresh(tx: Transaction, customerId: CustomerId, admin: Member): Promise<void>;
  /** The member behind a person; a merchant when seen for the first time. */
  member(tx: Transaction, customerId: CustomerId, person: Person): Promise<Member>;
  memberById(tx: Transaction, customerId: CustomerId, id: string): Promise<Member>;
  /** `undefined`: this customer has no such member. */
  find(tx: Transaction, customerId: CustomerId, id: string): Promise<Member | undefined>;
  members(tx: Transaction, customerId: CustomerId, role?: Role): Promise<readonly Member[]>;
  rules(tx: Transaction, customerId: CustomerId): Promise<Customer>;
  /** Makes exactly these people approvers. */
  setApprovers(
    tx: Transaction,
    customerId: CustomerId,
    approvers: readonly Person[],
    mayWorkAlone: boolean,
  ): Promise<void>;
  setRules(tx: Transaction, customerId: CustomerId, rules: ApprovalRules): Promise<void>;
  /** Whether the model may help; plans say so, and a run asks each time. @returns whether that is new. */
  setModel(tx: Transaction, customerId: CustomerId, isAllowed: boolean): Promise<boolean>;
  /** How long records of theirs are kept; `null`: as long as the installation says. The database keeps to its own minimum. */
  setRetention(tx: Transaction, customerId: CustomerId, days: number | null): Promise<void>;
  /** From now on exactly these accounts belong to one person; one account alone is nobody else's any more. */
  link(tx: Transaction, customerId: CustomerId, accounts: readonly Member[]): Promise<void>;
}

/** How many different people approve, and who may besides those who were named. */
export interface ApprovalRules {
  readonly approvalsRequired: number;
  readonly adminsApprove: boolean;
  /** The id of a group of the chat platform. */
  readonly approverGroup: string | null;
}

export function createCustomers(deps: { database: Database; directory: Directory }): Customers {
  const { database, directory } = deps;
  return {
    async install(workspace, installer) {
      const known = await directory.customerOfWorkspace(workspace.platform, workspace.workspaceId);
      if (known) return known;
      const customerId = asCustomerId(newUuid());
      try {
        await database.withCustomer(customerId, async (tx) => {
          await tx.customer.create({ data: { customerId, name: workspace.name } });
          await tx.workspace.create({
            data: { customerId, platform: workspace.platform, workspaceId: workspace.workspaceId },
          });
          const member = { id: newUuid(), roles: ['merchant', 'admin'] } as const;
          await database.vouch(tx, 'member', customerId, rolesWord(member));
          await insertMember(tx, customerId, installer, member);
        });
        return customerId;
      } catch (error) {
        // Two processes saw the workspace at once: the first one's customer is the customer.
        const winner = isUniqueViolation(error)
          ? await directory.customerOfWorkspace(workspace.platform, workspace.workspaceId)
          : undefined;
        if (winner) return winner;
        throw error;
      }
    },
    async beginAfresh(tx, customerId, admin) {
      await this.setApprovers(tx, customerId, [], false);
      await this.setRules(tx, customerId, { approvalsRequired: 1, adminsApprove: false, approverGroup: null });
      for (const { id } of await this.members(tx, customerId))
        await setRoles(tx, database, customerId, { id, roles: id === admin.id ? ['merchant', 'admin'] : ['merchant'] });
    },
    async member(tx, customerId, person) {
      const { platform, workspaceId, userId, name } = person;
      const where = { customerId_platform_workspaceId_userId: { customerId, platform, workspaceId, userId } };
      const row = await tx.member.findUnique({ where });
      if (row?.name === name) return toMember(row);
      if (row) return toMember(await tx.member.update({ where, data: { name } }));
      return toMember(await insertMember(tx, customerId, person, { id: newUuid(), roles: ['merchant'] }));
    },
    memberById: async (tx, customerId, id) =>
      toMember(await tx.member.findUniqueOrThrow({ where: { customerId_id: { customerId, id } } })),
    async find(tx, customerId, id) {
      const row = await tx.member.findUnique({ where: { customerId_id: { customerId, id } } });
      return row ? toMember(row) : undefined;
    },
    members: async (tx, customerId, role) =>
      (
        await tx.member.findMany({
          where: { customerId, ...(role ? { roles: { has: role } } : {}) },
          orderBy: { createdAt: 'asc' },
        })
      ).map(toMember),
    rules: (tx, customerId) => tx.customer.findUniqueOrThrow({ where: { customerId } }),
    async setApprovers(tx, customerId, approvers, mayWorkAlone) {
      const chosen: Member[] = [];
      // One transaction is one connection: its queries go one after the other.
      for (const person of approvers) chosen.push(await this.member(tx, customerId, person));
      for (const member of await this.members(tx, customerId)) {
        const isChosen = chosen.some((c) => c.id === member.id);
        const roles: Role[] = member.roles.filter((role) => role !== 'approver');
        if (isChosen) roles.push('approver');
        await setRoles(tx, database, customerId, { id: member.id, roles });
      }
      const alone = Prisma.sql`${mayWorkAlone}::boolean`;
      await tx.$executeRaw`
        UPDATE customers SET may_work_alone = ${database.vouched('rules', customerId, `alone|${mayWorkAlone}`, alone)}
        WHERE customer_id = ${customerId}::uuid AND may_work_alone <> ${alone}`;
    },
    async setRules(tx, customerId, { approvalsRequired, adminsApprove, approverGroup }) {
      const word = `approvals|${approvalsRequired}|${adminsApprove}|${approverGroup ?? ''}`;
      const required = database.vouched('rules', customerId, word, Prisma.sql`${approvalsRequired}::int`);
      await tx.$executeRaw`
        UPDATE customers SET approvals_required = ${required}, admins_approve = ${adminsApprove}, approver_group = ${approverGroup}
        WHERE customer_id = ${customerId}::uuid AND (approvals_required, admins_approve, approver_group)
          IS DISTINCT FROM (${approvalsRequired}::int, ${adminsApprove}::boolean, ${approverGroup}::text)`;
    },
    async setModel(tx, customerId, isAllowed) {
      const where = { customerId, allowsModel: !isAllowed };
      return (await tx.customer.updateMany({ where, data: { allowsModel: isAllowed } })).count === 1;
    },
    async setRetention(tx, customerId, days) {
      const vouched = database.vouched('rules', customerId, `retention|${days ?? ''}`, Prisma.sql`${days}::int`);
      await tx.$executeRaw`
        UPDATE customers SET retention_days = ${vouched}
        WHERE customer_id = ${customerId}::uuid AND retention_days IS DISTINCT FROM ${days}::int`;
    },
    async link(tx, customerId, accounts) {
      const personId = accounts.length > 1 ? newUuid() : null;
      for (const { id } of accounts) {
        const word = `${id}|person|${personId ?? ''}`;
        const vouched = database.vouched('member', customerId, word, Prisma.sql`${personId}::uuid`);
        await tx.$executeRaw`
          UPDATE members SET person_id = ${vouched}
          WHERE customer_id = ${customerId}::uuid AND id = ${id}::uuid AND person_id IS DISTINCT FROM ${personId}::uuid`;
      }
    },
  };
}

async function setRoles(
  tx: Transaction,
  database: Database,
  customerId: CustomerId,
  member: { readonly id: string; readonly roles: readonly Role[] },
): Promise<void> {
  const { id, roles } = member;
  const vouched = database.vouched('member', customerId, rolesWord(member), Prisma.sql`${roles}::text[]`);
  // A row that stays as it is takes no word, which would be left for others to find.
  await tx.$executeRaw`
    UPDATE members SET roles = ${vouched}
    WHERE customer_id = ${customerId}::uuid AND id = ${id}::uuid AND roles IS DISTINCT FROM ${roles}::text[]`;
}

async function insertMember(
  tx: Transaction,
  customerId: CustomerId,
  person: Person,
  { id, roles }: { readonly id: string; readonly roles: readonly Role[] },
): Promise<MemberRow> {
  const { platform, workspaceId, userId, name } = person;
  await tx.member.createMany({
    data: [{ customerId, id, platform, workspaceId, userId, name, roles: [...roles] }],
    skipDuplicates: true,
  });
  return tx.member.findUniqueOrThrow({
    where: { customerId_platform_workspaceId_userId: { customerId, platform, workspaceId, userId } },
  });
}

/** What is vouched for before a member gets these roles. */
function rolesWord({ id, roles }: { readonly id: string; readonly roles: readonly Role[] }): string {
  return `${id}|roles|${roles.join(',')}`;
}

/** A row of `members` as people and programs know somebody. */
export function toMember(row: MemberRow): Member {
  return {
    id: memberId(row.id),
    personId: row.personId ?? row.id,
    // CHECK members_roles_check and the adapters' own names guarantee both unions.
    person: { platform: row.platform as Platform, workspaceId: row.workspaceId, userId: row.userId, name: row.name },
    roles: row.roles as Role[],
  };
}
