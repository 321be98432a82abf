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

  test('shows whatever it is given as words, never as markup', () => {
    const hostile = '"><img src=x onerror=alert(1)>\'&amp;';
    const field = { name: hostile, label: hostile, help: hostile, isSecret: false, autocomplete: 'off' } as const;
    const given = { ...view, fields: [field], title: hostile, origin: hostile, person: hostile };
    const page = signInPage({ ...given, isUnencrypted: false }, { [hostile]: hostile }, { [hostile]: hostile });
    expect(page.match(/<img|"'|'&amp;|"">/g)).toBeNull();
    expect(page.match(/&#60;img src=x onerror=alert\(1\)&#62;/g)?.length).toBeGreaterThan(8);
  });
});
