import type { Customer } from '../../prisma/generated/client.ts';
import type { Member } from '../customers/customers.ts';
import type { Platform, Standing } from '../ports/chat.ts';

export type Rules = Pick<Customer, 'mayWorkAlone' | 'approvalsRequired' | 'adminsApprove' | 'approverGroup'>;

/** What there is to know of a consent request before somebody decides on it. */
export interface Question {
  readonly requester: Member;
  readonly workspace: { readonly platform: Platform; readonly workspaceId: string };
  readonly widened: readonly { readonly permission: string; readonly by: Member }[];
}

export type Refusal =
  | 'not_an_approver'
  | 'own_request'
  /** They added permissions that nobody had asked for, so somebody else countersigns them. */
  | 'own_widening'
  /** The platform didn't say for sure who they are. */
  | 'not_verified';

export type Permitted =
  /** `basis`: by which rule, as it goes on record (`approver`, `admin`, `group:ID`). */
  { readonly isPermitted: true; readonly basis: string } | { readonly isPermitted: false; readonly why: Refusal };

/**
 * Who may decide: an approver of the request's workspace, whom the platform vouches for at this moment. Who approves is
 * neither whoever asked nor whoever added to what was asked for, by any of their accounts, unless they work alone.
 */
export function mayDecide(
  member: Member,
  question: Question,
  rules: Rules,
  standing: Standing,
  decision: 'approve' | 'deny' = 'approve',
): Permitted {
  if (standing.kind === 'unknown') return { isPermitted: false, why: 'not_verified' };
  const { platform, workspaceId } = question.workspace;
  const isOfWorkspace = member.person.workspaceId === workspaceId && member.person.platform === platform;
  const basis = basisOf(member, rules, standing);
  if (standing.kind === 'guest' || !isOfWorkspace || basis === undefined)
    return { isPermitted: false, why: 'not_an_approver' };
  if (rules.mayWorkAlone) return { isPermitted: true, basis };
  if (member.personId === question.requester.personId) return { isPermitted: false, why: 'own_request' };
  if (decision === 'approve' && question.widened.some(({ by }) => by.personId === member.personId))
    return { isPermitted: false, why: 'own_widening' };
  return { isPermitted: true, basis };
}

function basisOf({ roles }: Member, rules: Rules, standing: Standing): string | undefined {
  if (roles.includes('approver')) return 'approver';
  if (rules.adminsApprove && roles.includes('admin')) return 'admin';
  const isInGroup = rules.approverGroup !== null && standing.kind === 'member' && standing.isInGroup;
  return isInGroup ? `group:${rules.approverGroup}` : undefined;
}

/** Whose names a card gives: those who may decide as things stand, as far as that is known without asking the platform. */
export function possibleApprovers(members: readonly Member[], question: Question, rules: Rules): readonly Member[] {
  const standing = { kind: 'member', isInGroup: false } as const;
  return members.filter((member) => mayDecide(member, question, rules, standing).isPermitted);
}
