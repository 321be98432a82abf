import { type Step, stepSchema } from '../../core/workflow/steps/index.ts';
import type { StepName } from './injection-pages.ts';

const base = {
  order: 1,
  expectedResult: 'it shows',
  alternatives: [],
  permission: 'open_keys',
  timeoutMs: 5_000,
  failsWhen: [],
  isMutating: false,
  risk: 'reads',
  locators: [{ by: 'css', selector: '#gone' }],
};
const holds = (selector: string, matches: string) => ({ kind: 'value', locator: { by: 'css', selector }, matches });
const never = holds('#never', '.+');

const fill = {
  ...base,
  kind: 'fill',
  action: 'fill',
  intent: 'Enter the password',
  value: '{secret:admin_password}',
  identities: [{ tag: 'input', type: 'password', name: 'Password' }],
  postcondition: holds('#pw', '.+'),
};

/** What the plan has at this point, on record as it was before the page changed: no locator finds anything any more. */
export const STEPS: Readonly<Record<StepName, Step>> = {
  open: stepSchema.parse({
    ...base,
    kind: 'click',
    action: 'click',
    intent: 'Open the form for a new key',
    identities: [{ tag: 'button', type: 'button', role: 'button', name: 'New key form' }],
    postcondition: never,
  }),
  fill: stepSchema.parse(fill),
  tick: stepSchema.parse({
    ...base,
    kind: 'check',
    action: 'check',
    intent: 'Show the advanced fields',
    isChecked: true,
    identities: [{ tag: 'input', type: 'checkbox', role: 'checkbox', name: 'Show advanced fields' }],
    postcondition: never,
  }),
  choose: stepSchema.parse({
    ...base,
    kind: 'select',
    action: 'selectOption',
    intent: 'Choose what the key may do',
    value: 'read',
    identities: [{ tag: 'select', role: 'combobox', name: 'Permissions' }],
    postcondition: never,
  }),
  generate: stepSchema.parse({
    ...base,
    kind: 'extract',
    action: 'copy',
    intent: 'Generate the key',
    isMutating: true,
    risk: 'creates',
    identities: [{ tag: 'button', type: 'button', role: 'button', name: 'Generate key' }],
    extract: { ready: never, fields: { key: { locators: [{ by: 'css', selector: '#key' }], matches: 'ck_.*' } } },
  }),
};

/** The earlier step of pages on which the password is already typed. */
export const TYPED: Step = stepSchema.parse({ ...fill, locators: [{ by: 'css', selector: '#pw' }] });
