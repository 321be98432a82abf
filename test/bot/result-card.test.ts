import { describe, expect, test } from 'vitest';
import { consentCard } from '../../bot/cards/consent-card.ts';
import { guideCard } from '../../bot/cards/guide-card.ts';
import { resultCard } from '../../bot/cards/result-card.ts';
import { approver, labels, nobodyYet, record, said } from '../support/cards.ts';
import { granted, NOW, OLD, operationAbout, operationWith } from '../support/operation.ts';

describe('result card', () => {
  const data = {
    credentialId: 'c',
    label: 'Countersign op-7k3f9q2m',
    lastFour: '47a9',
    checked: 'shop.example.com answered 200, 5 products',
    method: 'GET',
    steps: 10,
    durationMs: 14_000,
  };

  test.each([
    ['credential_rotation', 'denied', 'Connected, rotation denied'],
    ['credential_revocation', 'expired', 'Connected, revocation expired'],
    ['credential_rotation', 'cancelled', 'Connected, rotation stopped'],
  ] as const)(
    'of a %s that was %s says in the list of threads that the key is as good as before',
    (type, state, words) => {
      const about = operationAbout(type);
      const ended = { ...about, state, decidedBy: approver };
      expect(resultCard(ended, record).status).toEqual({ tone: 'done', words });
      // Once somebody has countersigned it, what was begun may have changed something.
      expect(resultCard({ ...ended, grant: granted(about) }, record).status?.tone).toBe('failed');
      expect(resultCard(operationWith({ state, decidedBy: approver }), record).status?.tone).toBe('failed');
    },
  );

  test('says what was made, its last four characters, how it was checked, and where it is on record', () => {
    const open = operationWith();
    const card = resultCard(
      operationWith({ state: 'completed', isKeyStored: true, grant: granted(open), result: { success: true, data } }),
      record,
    );
    expect(card.summary).toContain('Done in 14 s. WooCommerce is connected.');
    expect(said(card)).toContain('…47a9, read only, in the vault');
    expect(said(card)).toContain('shop.example.com answered 200, 5 products');
    expect(said(card)).toContain('12 entries, chain #412 · 5be0aa0000000000 verified');
    expect(labels(card)).toEqual(['Audit trail', 'Reveal', 'Rotate', 'Revoke']);
  });

  test('says that its key was replaced, and which key it replaced', () => {
    const state = 'completed';
    const by = resultCard(
      operationWith({ state, result: { success: true, data: { ...data, replacedBy: 'op-22222222' } } }),
      record,
    );
    expect(said(by)).toContain('replaced by the key of op-22222222');
    expect(labels(by)).toEqual(['Audit trail']);
    const of = resultCard(
      operationWith({
        ...{ state, isKeyStored: true },
        result: { success: true, data: { ...data, replaced: 'Countersign op-1' } },
      }),
      record,
    );
    expect(said(of)).toContain('In place of “Countersign op-1”, which the shop still knows');
  });

  test('of a rotation names the new key, and the old one with what became of it', () => {
    const old = { ...data, label: 'Countersign op-7k3f9q2m', replaced: OLD.label };
    const ended = 'The shop no longer takes it: 401';
    const open = operationAbout('credential_rotation');
    const done = { ...open, state: 'completed', isKeyStored: true, grant: granted(open) } as const;
    const card = resultCard({ ...done, result: { success: true, data: { ...old, ended } } }, record);
    expect(card.summary).toContain('The WooCommerce key is rotated.');
    expect(said(card)).toContain('New key …47a9, read only, in the vault');
    expect(said(card)).toContain(`Old key “${OLD.label}”, ended: ${ended}`);
    const byHand = said(resultCard({ ...done, result: { success: true, data: old } }, record));
    expect(byHand).toContain(`The shop still knows the old key, “${OLD.label}”. To end it there:`);
    expect(byHand).toContain(`Find “${OLD.label}” in the column Description`);
  });

  test('of a rotation that did not come to its end says which key is the stored one', () => {
    const open = operationAbout('credential_rotation');
    const failed = {
      ...open,
      state: 'failed',
      grant: granted(open),
      errorCode: 'verification_failed',
      errorMessage: 'No.',
    } as const;
    const intent = { label: 'Countersign op-7k3f9q2m', state: 'done', attempt: 1n };
    const early = said(resultCard(failed, record));
    expect(early).toContain('The WooCommerce key for shop.example.com was not rotated.');
    expect(early).toContain(`The old key, “${OLD.label}”, was left as it was. No new one was stored.`);
    const unproven = said(resultCard({ ...failed, intent }, record));
    expect(unproven).toContain('The new one, “Countersign op-7k3f9q2m”, was not proven to work, so it was not kept');
    const late = resultCard({ ...failed, intent, isKeyStored: true }, record);
    expect(said(late)).toContain(
      'The WooCommerce key for shop.example.com was rotated, but its old one was not seen to have ended.',
    );
    expect(said(late)).toContain('The new key “Countersign op-7k3f9q2m” works and is the stored one.');
    expect(said(late)).toContain(`The shop may still know the old key, “${OLD.label}”. To end it there:`);
    expect(said(late)).toContain('Next: end the old key by hand, as above.');
    expect(labels(late)).not.toContain('Try again');
  });

  test('of a revocation says what showed that the key has ended, and offers nothing more to do with it', () => {
    const open = operationAbout('credential_revocation');
    const checked = 'The shop no longer takes it: 401';
    const result = { success: true, data: { ...data, label: OLD.label, lastFour: OLD.lastFour, checked } };
    const card = resultCard({ ...open, state: 'completed', grant: granted(open), result }, record);
    expect(card.summary).toContain('The WooCommerce key is revoked.');
    expect(said(card)).toContain(`Key …${OLD.lastFour}, ended in the shop, deleted from the vault`);
    expect(said(card)).toContain(`Checked ${checked}`);
    expect(labels(card)).toEqual(['Audit trail']);
  });

  test('offers no second revocation', () => {
    const revoked = { ...data, revokedAt: NOW.toISOString() };
    const card = resultCard(operationWith({ state: 'completed', result: { success: true, data: revoked } }), record);
    expect(labels(card)).toEqual(['Audit trail']);
    expect(said(card)).toContain('deleted from the vault');
  });

  test('says whose words a denial’s reason is', () => {
    const denied = { state: 'denied', errorMessage: 'Not before the sale is over.' } as const;
    expect(said(resultCard(operationWith({ ...denied, decidedBy: approver }), record))).toContain(
      'Approver wrote: “Not before the sale is over.”',
    );
    const failed = operationWith({ state: 'failed', errorMessage: 'The shop is down.' });
    expect(said(resultCard(failed, record))).toMatch(/^The shop is down\.$/m);
  });

  test('for doing it by hand has links to follow', () => {
    const { blocks } = guideCard(operationWith({ state: 'awaiting_consent' }));
    const links = blocks.flatMap((block) => (block.kind === 'list' ? block.items.flatMap((item) => item.text) : []));
    expect(links.filter(({ kind }) => kind === 'link')).toMatchObject([
      { url: expect.stringMatching(/\/wp-login\.php$/) },
      { url: expect.stringMatching(/section=keys$/) },
    ]);
  });

  const made = (state: string) => ({ label: 'Countersign op-7k3f9q2m', state, attempt: 0n });

  test.each([
    { state: 'denied', errorCode: null, intent: null, kept: 'Nothing was done.', next: 'to ask again' },
    {
      state: 'failed',
      errorCode: 'sign_in_refused',
      intent: null,
      kept: 'No key was stored.',
      next: 'check the user name and password',
    },
    {
      state: 'failed',
      errorCode: 'effect_unsure',
      intent: made('uncertain'),
      kept: 'No key was stored.',
      next: "look at the shop's list of keys first",
    },
    {
      state: 'cancelled',
      errorCode: null,
      intent: made('started'),
      kept: 'may have been made in the shop',
      next: "look at the shop's list of keys first",
    },
    {
      state: 'failed',
      errorCode: 'verification_failed',
      intent: made('done'),
      kept: 'not proven to work',
      next: 'press “Try again” for a new plan that somebody approves',
    },
  ] as const)(
    'says what was not done and what to do next: $state $errorCode',
    ({ state, errorCode, intent, kept, next }) => {
      const open = operationWith();
      const grant = state === 'denied' ? null : granted(open);
      const card = resultCard(
        operationWith({
          ...{ state, errorCode, errorMessage: 'It went wrong.', grant, intent },
          isKeyStored: kept === 'not proven to work',
        }),
        record,
      );
      expect(said(card)).toContain(kept);
      expect(said(card)).toContain(next);
      expect(said(card)).toContain('op-7k3f9q2m');
    },
  );

  test('lets people revoke a key that was stored and not proven, once', () => {
    const open = operationWith();
    const stored = { state: 'failed', grant: granted(open), intent: made('done') } as const;
    expect(labels(resultCard(operationWith({ ...stored, isKeyStored: true }), record))).toEqual([
      'Try again',
      'Audit trail',
      'Revoke',
    ]);
    const result = { success: false, data: { ...data, revokedAt: NOW.toISOString() } };
    const after = resultCard(operationWith({ ...stored, result }), record);
    expect(labels(after)).toEqual(['Try again', 'Audit trail']);
    expect(said(after)).toContain('has been deleted from the vault since');
  });

  test('offers to try again what ended without a key and without a No, until that was done', () => {
    const offered = (changes: object) => labels(resultCard(operationWith(changes), record)).includes('Try again');
    for (const state of ['failed', 'expired', 'cancelled']) expect(offered({ state }), state).toBe(true);
    for (const state of ['denied', 'completed']) expect(offered({ state }), state).toBe(false);
    expect(offered({ state: 'failed', errorCode: 'captcha' })).toBe(false);
    expect(offered({ state: 'failed', errorCode: 'effect_unsure', intent: made('uncertain') })).toBe(false);
    expect(offered({ state: 'cancelled', intent: made('started') })).toBe(false);
    const retried = operationWith({ state: 'failed', retriedAs: 'op-22222222' as never }); // an id
    expect(labels(resultCard(retried, record))).toEqual(['Audit trail']);
    expect(said(resultCard(retried, record))).toContain('It is tried again as op-22222222');
    expect(said(consentCard(operationWith({ retryOf: 'op-33333333' as never }), nobodyYet))).toContain(
      'tries op-33333333 again',
    );
  });

  test('of a test that was denied names the command that tries the key, and who may write it', () => {
    const denied = said(resultCard({ ...operationAbout('integration_test'), state: 'denied' }, record));
    expect(denied).toContain('Next: have an approver or an admin write “/countersign test woocommerce”');
  });

  test('does not call a broken chain verified', () => {
    expect(said(resultCard(operationWith({ state: 'denied' }), { ...record, isIntact: false }))).toContain(
      'NOT intact',
    );
  });
});
