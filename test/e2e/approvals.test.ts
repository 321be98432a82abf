// Several approvals, linked accounts and widened plans, as the people in the thread meet them.
import type { Page } from 'playwright';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { appoint, startTestDemo, type TestDemo } from '../support/demo.ts';
import {
  openPeople,
  operationIdIn,
  type People,
  press,
  pressAndConfirm,
  RUN_MS,
  say,
  seen,
} from '../support/people.ts';

vi.setConfig({ testTimeout: RUN_MS });

let demo: TestDemo;
let people: People;
let merchant: Page;
let approver: Page;
let admin: Page;

beforeAll(async () => {
  demo = await startTestDemo();
  people = await openPeople(demo.chatUrl);
  [merchant, approver, admin] = [people.page('Merchant'), people.page('Approver'), people.page('Admin')];
  await appoint(demo, ['approver']);
});
afterAll(async () => {
  await people?.close();
  await demo?.remove();
});

const ask = () => people.begin('Merchant', `set up WooCommerce for ${demo.shop.origin}`);
const form = (page: Page) => page.getByRole('dialog');

/** The settings' form, filled in and sent. */
async function saveRules(required: string, approvers: readonly string[]): Promise<void> {
  await say(admin, '/countersign settings');
  for (const name of ['Merchant', 'Approver', 'Admin'])
    await form(admin).getByRole('checkbox', { name, exact: true }).setChecked(approvers.includes(name));
  await form(admin).getByRole('textbox', { name: 'How many of them have to approve' }).fill(required);
  await form(admin).getByRole('button', { name: 'Save' }).click();
}

describe('two approvals', () => {
  it('are set by the admin, shown on the card one by one, and only the second one lets it run', async () => {
    await ask();
    await saveRules('three', ['Approver', 'Admin']);
    await form(admin).getByText('Write a number from 1 to 9.').waitFor();
    await form(admin).getByRole('textbox', { name: 'How many of them have to approve' }).fill('3');
    await form(admin).getByRole('button', { name: 'Save' }).click();
    await form(admin).getByText('Only 2 people could approve: choose more, or a smaller number.').waitFor();
    await form(admin).getByRole('textbox', { name: 'How many of them have to approve' }).fill('2');
    await form(admin).getByRole('button', { name: 'Save' }).click();
    await seen(admin, 'Saved. Approver, Admin may approve. It takes 2 of them.');
    await seen(merchant, '0 of 2 approvals');
    await press(approver, 'Approve');
    await seen(merchant, /1 of 2 approvals: Approver at \d\d:\d\d/);
    await approver.getByRole('button', { name: 'Approve', exact: true }).waitFor({ state: 'detached' });
    await approver.getByRole('button', { name: 'Deny', exact: true }).waitFor();
    await press(admin, 'Approve');
    await seen(merchant, /Countersigned by Approver and Admin at/);
  });

  it('can be taken back by name', async () => {
    const id = await operationIdIn(merchant);
    await say(admin, '/countersign consents');
    await seen(admin, 'Countersigned right now');
    await pressAndConfirm(admin, 'Revoke', 'Revoke it');
    await seen(merchant, `Admin took back the countersignature of ${id}. What ran under it stops.`);
    await say(merchant, '/countersign consents');
    await seen(merchant, 'Nothing is countersigned at the moment, so nothing can run.');
  });
});

describe('one person', () => {
  it('does not approve what another account of theirs asked for', async () => {
    await ask();
    await saveRules('1', ['Approver']);
    await seen(admin, 'Saved. Approver may approve.');
    await say(admin, '/countersign accounts');
    for (const name of ['Merchant', 'Approver']) await form(admin).getByRole('checkbox', { name, exact: true }).check();
    await form(admin).getByRole('button', { name: 'Link them' }).click();
    const saved = await seen(admin, 'Saved. Merchant and Approver are one person now.');
    await saved.getByText('Nobody can approve what this person asks for now: nobody else may approve.').waitFor();
    await saved.getByRole('button', { name: 'Choose approvers' }).waitFor();
    await seen(merchant, 'waits in vain. Nobody can approve this as things stand');
    await seen(merchant, 'Admin can choose somebody else, with /countersign settings.');
    await say(admin, '/countersign accounts');
    await form(admin)
      .getByText(/Linked so far: (Approver and Merchant|Merchant and Approver)\./)
      .waitFor();
    await form(admin).getByRole('checkbox', { name: 'Merchant', exact: true }).check();
    await form(admin).getByRole('button', { name: 'Link them' }).click();
    await seen(merchant, 'Approver may approve. Nothing happens before that.');
    await seen(merchant, /The word about who may approve op-\w{8} is settled/);
  });

  it('is one of the two that it takes, whoever of their accounts approves: linking them says so', async () => {
    await ask();
    await saveRules('2', ['Approver', 'Admin']);
    await seen(merchant, '0 of 2 approvals');
    await say(admin, '/countersign accounts');
    for (const name of ['Admin', 'Approver']) await form(admin).getByRole('checkbox', { name, exact: true }).check();
    await form(admin).getByRole('button', { name: 'Link them' }).click();
    await seen(admin, 'Nothing can be approved now: it takes 2 different people, and only 1 may approve.');
    await seen(merchant, 'waits in vain. There are fewer people who may approve this than it takes.');
    await say(admin, '/countersign accounts');
    await form(admin).getByRole('checkbox', { name: 'Admin', exact: true }).check();
    await form(admin).getByRole('button', { name: 'Link them' }).click();
    await seen(merchant, /The word about who may approve op-\w{8} is settled/);
  });

  it('does not approve what they added to a plan by themselves, and may take it away again', async () => {
    await ask();
    await saveRules('1', ['Approver']);
    await seen(admin, 'Saved. Approver may approve.');
    await press(approver, 'Choose permissions');
    await form(approver)
      .getByText('If you add to what Merchant asked for, somebody other than you has to approve that')
      .waitFor();
    const write = form(approver).getByRole('checkbox', { checked: false }).first();
    await write.check();
    await form(approver).getByRole('button', { name: 'Make the new plan' }).click();
    await seen(
      merchant,
      /Approver added “[^”]+”, which Merchant did not ask for\. So somebody other than Approver has to approve\./,
    );
    await seen(merchant, 'everybody who may has asked for it or added to it');
    await approver.getByRole('button', { name: 'Choose permissions' }).last().waitFor();
    await saveRules('1', ['Approver', 'Admin']);
    await seen(approver, 'Admin may approve. Nothing happens before that.');
    await approver.getByRole('button', { name: 'Deny', exact: true }).waitFor();
    expect(await approver.getByRole('button', { name: 'Approve', exact: true }).count()).toBe(0);
    await press(admin, 'Approve');
    await seen(merchant, 'Countersigned by Admin at');
  });
});
