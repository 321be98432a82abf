import type { Customer } from '../../prisma/generated/client.ts';
import { isSamePerson, type Member } from '../customers/customers.ts';
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
  if (isSamePerson(member, question.requester)) return { isPermitted: false, why: 'own_request' };
  if (decision === 'approve' && question.widened.some(({ by }) => isSamePerson(by, member)))
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

/**
 * Why nobody can give the approvals that a question needs: nobody may approve anything, or whoever may is who asked or who
 * added to it, or they are fewer different people than it takes.
 */
export type Lack = 'nobody' | 'own' | 'too_few';

/** `undefined`: it can be approved, as far as that is known; who is in a group is only known when somebody decides. */
export function lackOfApprovers(members: readonly Member[], question: Question, rules: Rules): Lack | undefined {
  if (rules.approverGroup !== null) return undefined;
  const able = peopleAmong(possibleApprovers(members, question, rules));
  if (able >= rules.approvalsRequired) return undefined;
  if (able > 0) return 'too_few';
  return peopleAmong(possibleApprovers(members, question, { ...rules, mayWorkAlone: true })) > 0 ? 'own' : 'nobody';
}

/** How many different people these accounts are. */
export function peopleAmong(members: readonly Member[]): number {
  return new Set(members.map(({ personId }) => personId)).size;
}
