import { describe, expect, test } from 'vitest';
import { signInPage } from '../../adapters/api/connect-page.ts';
import { operationWith } from '../support/operation.ts';

const { id, type, way } = operationWith();
const view = {
  kind: 'sign_in',
  operationId: id,
  title: type.title,
  origin: 'http://shop.example.com',
  person: 'Mona',
  expiresAt: new Date(Date.now() + 15 * 60_000),
  fields: way.fields,
} as const;

describe('the one-time page for a sign-in', () => {
  test('says above the fields that the password would travel unencrypted, where it would', () => {
    const page = signInPage({ ...view, isUnencrypted: true }, {}, {});
    expect(page).toContain('anybody on the way could read it');
    expect(page.indexOf('Not encrypted.')).toBeLessThan(page.indexOf('<form'));
    expect(signInPage({ ...view, isUnencrypted: false }, {}, {})).not.toContain('Not encrypted.');
  });
});
