import type { Customer } from '../../prisma/generated/client.ts';
import type { Member } from '../customers/customers.ts';

export type Permitted =
  | { readonly isPermitted: true }
  | { readonly isPermitted: false; readonly why: 'not_an_approver' | 'own_request' };

/** Who may countersign: an approver of the request's workspace, and not whoever asked unless they work alone. */
export function mayDecide(member: Member, requester: Member, rules: Pick<Customer, 'mayWorkAlone'>): Permitted {
  if (
    !member.roles.includes('approver') ||
    member.person.workspaceId !== requester.person.workspaceId ||
    member.person.platform !== requester.person.platform
  )
    return { isPermitted: false, why: 'not_an_approver' };
  if (member.id === requester.id && !rules.mayWorkAlone) return { isPermitted: false, why: 'own_request' };
  return { isPermitted: true };
}

/** Who could decide on this request as things stand. */
export function possibleApprovers(
  approvers: readonly Member[],
  requester: Member,
  rules: Pick<Customer, 'mayWorkAlone'>,
): readonly Member[] {
  return approvers.filter((member) => mayDecide(member, requester, rules).isPermitted);
}
