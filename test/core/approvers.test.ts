import { describe, expect, test } from 'vitest';
import { lackOfApprovers } from '../../core/consent/policy.ts';
import type { Member } from '../../core/customers/customers.ts';
import { memberId, newUuid } from '../../core/ids.ts';

const WORKSPACE = { platform: 'web', workspaceId: 'W' } as const;

function member(name: string, roles: Member['roles'], personId?: string): Member {
  const id = memberId(newUuid());
  return { id, personId: personId ?? id, roles, person: { ...WORKSPACE, userId: `U-${name}`, name } };
}

const mona = member('Mona', ['merchant']);
const [abel, anna] = [member('Abel', ['approver']), member('Anna', ['approver'])];
const ada = member('Ada', ['admin']);
const alsoAbel = member('Abel at home', ['approver'], abel.personId);

function lack(
  members: readonly Member[],
  approvalsRequired = 1,
  requester = mona,
  approverGroup: string | null = null,
) {
  const rules = { mayWorkAlone: false, approvalsRequired, adminsApprove: false, approverGroup };
  return lackOfApprovers([mona, ...members], { requester, workspace: WORKSPACE, widened: [] }, rules);
}

describe('approvers', () => {
  test.each([
    ['one of one', lack([abel]), undefined],
    ['two of two', lack([abel, anna], 2), undefined],
    ['one of two', lack([abel], 2), 'too_few'],
    ['two accounts of one person, of two', lack([abel, alsoAbel], 2), 'too_few'],
    ['an admin, where admins approve nothing', lack([ada]), 'nobody'],
    ['whoever asked alone', lack([abel], 1, abel), 'own'],
    ['nobody', lack([]), 'nobody'],
    ['nobody, but a group of the platform', lack([], 1, mona, 'S1'), undefined],
  ])('are enough or not: %s', (_, found, wanted) => {
    expect(found).toBe(wanted);
  });
});
