import { describe, expect, test } from 'vitest';
import { CountersignError } from '../../../core/errors.ts';
import { services } from '../../../core/services/index.ts';
import { createWorkflowRegistry } from '../../../core/workflow/registry.ts';
import { describeStep } from '../../../core/workflow/steps/index.ts';

const ID = 'woocommerce_api_key_generation';
const ALIAS = 'should-complete-woocommerce-setup-and-enable-product-search';

const visible = (selector: string) => ({ kind: 'visible', locator: { by: 'css', selector } });
const common = {
  intent: 'Do it',
  expectedResult: 'It is done',
  alternatives: [],
  permission: 'create_api_key',
  risk: 'reads',
  isMutating: false,
  timeoutMs: 1_000,
  failsWhen: [],
};
const fillStep = {
  ...common,
  order: 1,
  kind: 'fill',
  action: 'fill',
  target: '#it',
  value: '{label}',
  locators: [{ by: 'css', selector: '#it' }],
  identities: [{ tag: 'input' }],
  postcondition: visible('#it'),
};
const extractStep = {
  ...common,
  order: 1,
  kind: 'extract',
  action: 'copy',
  risk: 'creates',
  isMutating: true,
  locators: [{ by: 'css', selector: '#it' }],
  identities: [{ tag: 'button' }],
  extract: { ready: visible('#key'), fields: { key: { locators: [{ by: 'css', selector: '#key' }], matches: '^k$' } } },
};
const probe = {
  permission: 'create_api_key',
  looks: [
    { target: '{base}/list', timeoutMs: 1_000 },
    { target: '{base}/list', timeoutMs: 1_000 },
  ],
  found: { kind: 'visible', locator: { by: 'text', text: '{label}' } },
  complete: visible('table'),
};

function workflow(own: Record<string, unknown> = {}) {
  return {
    id: 'one',
    aliases: [],
    name: 'One',
    intent: 'Do one thing',
    version: 1,
    service: 'woocommerce',
    inputs: ['scope'],
    secrets: ['admin_password'],
    preconditions: [],
    steps: [fillStep],
    postconditions: [],
    successIndicators: [],
    errorRecovery: [],
    provenance: { source: 'hand', recordedOn: '2026-11-22', vendorVersion: 'none' },
    ...own,
  };
}

function knowledgeBase(...workflows: readonly Record<string, unknown>[]) {
  return { workflows, uiCatalog: [], apiReference: [], commonPatterns: [], generatedAt: '2026-11-22T00:00:00Z' };
}

const load = (...workflows: readonly Record<string, unknown>[]) =>
  createWorkflowRegistry(() => ({ knowledgeBase: knowledgeBase(...workflows) }));

describe('the registry', () => {
  const registry = createWorkflowRegistry();

  test('finds a workflow by id and by the reference system’s name', () => {
    expect(registry.getDefinition(ALIAS)).toBe(registry.getDefinition(ID));
    expect(registry.get(ID)?.service).toBe('woocommerce');
    expect(registry.exists(ALIAS)).toBe(true);
    expect(registry.list().map(({ id }) => id)).toContain(ID);
    expect(registry.count()).toBe(registry.list().length);
  });

  test('says which workflow it does not know', () => {
    expect(registry.get('none')).toBeUndefined();
    expect(registry.exists('none')).toBe(false);
    expect(() => registry.getDefinition('none')).toThrow(
      new CountersignError('workflow_not_found', 'Workflow not found: none'),
    );
  });

  test('finds workflows by words, and none by words that are nowhere', () => {
    expect(registry.search('WooCommerce API key').map(({ id }) => id)).toEqual([
      ID,
      'woocommerce_credential_rotation',
      'woocommerce_credential_revocation',
    ]);
    expect(registry.search('xero')).toEqual([]);
    expect(registry.search(' ')).toEqual([]);
  });

  test('holds what the reference system kept beside its workflows', () => {
    expect(registry.getUICatalog().map(({ selector }) => selector)).toContain('#key_description');
    expect(registry.getAPIReference()[0]?.endpoint).toContain('/wp-json/wc/v3/products');
    expect(registry.getCommonPatterns().length).toBeGreaterThan(0);
    const known = new Set(registry.list().map(({ id }) => id));
    for (const { usedInWorkflows } of [...registry.getUICatalog(), ...registry.getAPIReference()])
      expect(usedInWorkflows.every((id) => known.has(id))).toBe(true);
  });

  test('keeps what it has when a reload is refused', () => {
    let version = 1;
    const own = createWorkflowRegistry(() => ({ knowledgeBase: knowledgeBase(workflow({ version })) }));
    version = 2;
    own.reload();
    expect(own.getDefinition('one').version).toBe(2);
    version = 0;
    expect(() => own.reload()).toThrow('Failed to load agent knowledge base');
    expect(own.getDefinition('one').version).toBe(2);
  });
});

describe('the WooCommerce workflow', () => {
  const { steps, probe: woocommerceProbe } = createWorkflowRegistry().getDefinition(ID);
  const type = services.find(({ id }) => id === 'woocommerce')?.operationTypes.api_key_generation;

  test('reads as sentences for merchants', () => {
    expect(steps.map(({ intent }) => intent)).toEqual([
      'Open the sign-in page',
      'Enter the user name',
      'Enter the password',
      'Sign in',
      'Open Settings › Advanced › REST API keys',
      'Start a new key',
      'Name it “{label}”',
      'Choose “{scopeWords}”',
      'Generate the key and put it into the vault',
      'Check that it works',
    ]);
  });

  test('asks for no permission that the service does not show', () => {
    const shown = type?.permissions.map(({ id }) => id);
    expect(shown).toEqual(expect.arrayContaining([...new Set(steps.map(({ permission }) => permission))]));
    expect(shown).toContain(woocommerceProbe?.permission);
  });

  test('yields exactly the result that the service names, in the same formats', () => {
    const fields = steps.flatMap((step) => (step.kind === 'extract' ? Object.entries(step.extract.fields) : []));
    const named = Object.entries(type?.result ?? {}).map(([name, { matches }]) => [name, matches.source]);
    expect(fields.map(([name, { matches }]) => [name, matches])).toEqual(named);
  });

  test('has one effect, and several ways to find what it acts on', () => {
    expect(steps.filter(({ isMutating }) => isMutating).map(({ order }) => order)).toEqual([9]);
    for (const step of steps) if ('locators' in step) expect(step.locators.length).toBeGreaterThanOrEqual(3);
  });

  test('tells operators what each step does without any value', () => {
    expect(steps.map(describeStep)).toEqual([
      'navigate {base}/wp-login.php?redirect_to={base}%2Fwp-admin%2Fadmin.php%3Fpage%3Dwc-settings%26tab%3Dadvanced%26section%3Dkeys',
      'fill #user_login with {secret:admin_username}',
      'fill #user_pass with {secret:admin_password}',
      'click #wp-submit',
      'navigate {base}/wp-admin/admin.php?page=wc-settings&tab=advanced&section=keys',
      'click a.page-title-action[href*="create-key=1"]',
      'fill #key_description with {label}',
      'select {scope} in #key_permissions',
      'click #update_api_key, keep consumer_key and consumer_secret',
      'verify the stored credential',
    ]);
  });
});

describe('a knowledge base without meaning', () => {
  const withStep = (own: Record<string, unknown>) => workflow({ steps: [{ ...fillStep, ...own }] });

  test.each([
    { problem: 'orders that skip', workflows: [withStep({ order: 2 })], words: 'the orders are not 1, 2, 3' },
    { problem: 'two workflows of one id', workflows: [workflow(), workflow()], words: 'taken twice' },
    {
      problem: 'an alias that is an id',
      workflows: [workflow(), workflow({ id: 'two', aliases: ['one'] })],
      words: 'taken twice',
    },
    {
      problem: 'an unknown placeholder',
      workflows: [withStep({ value: '{shoe}' })],
      words: 'unknown placeholder {shoe}',
    },
    {
      problem: 'an unknown placeholder in a sentence',
      workflows: [withStep({ intent: 'Do {it}' })],
      words: 'unknown placeholder {it}',
    },
    {
      problem: 'a value inside a selector',
      workflows: [withStep({ postcondition: visible('[title="{label}"]') })],
      words: 'a placeholder in the selector',
    },
    {
      problem: 'an undeclared secret',
      workflows: [withStep({ value: '{secret:root}' })],
      words: 'the secret slot root is not declared',
    },
    {
      problem: 'a secret within other text',
      workflows: [withStep({ value: 'x{secret:admin_password}' })],
      words: 'stands alone',
    },
    {
      problem: 'a target that is not tried',
      workflows: [withStep({ target: '#other' })],
      words: 'none of the locators',
    },
    { problem: 'no permission', workflows: [withStep({ permission: '' })], words: 'permission' },
    {
      problem: 'a pattern that does not compile',
      workflows: [withStep({ identities: [{ tag: 'a', nameMatches: '(' }] })],
      words: 'not a regular expression',
    },
    {
      problem: 'an unknown kind',
      workflows: [withStep({ kind: 'evaluate' })],
      words: 'Failed to load agent knowledge base',
    },
    {
      problem: 'an acting step without a postcondition',
      workflows: [withStep({ postcondition: undefined })],
      words: 'postcondition',
    },
    { problem: 'a misspelt field', workflows: [withStep({ timeout: 5 })], words: 'timeout' },
    { problem: 'an effect without a probe', workflows: [workflow({ steps: [extractStep] })], words: 'needs a probe' },
    {
      problem: 'an effect that claims to read',
      workflows: [workflow({ steps: [{ ...extractStep, risk: 'reads' }], probe })],
      words: 'at least the risk creates',
    },
    {
      problem: 'two effects',
      workflows: [workflow({ steps: [extractStep, { ...extractStep, order: 2 }], probe })],
      words: 'more than one step brings a result',
    },
    {
      problem: 'a result that is read without an effect',
      workflows: [
        workflow({ steps: [{ ...common, order: 1, kind: 'read', action: 'copy', extract: extractStep.extract }] }),
      ],
      words: 'step 1 reads a result without an effect',
    },
    {
      problem: 'a probe that looks for something else',
      workflows: [workflow({ steps: [extractStep], probe: { ...probe, found: visible('tr') } })],
      words: 'does not look for {label}',
    },
  ])('is refused for $problem', ({ workflows, words }) => {
    expect(() => load(...workflows)).toThrow(words);
    expect(() => load(...workflows)).toThrow(expect.objectContaining({ code: 'workflow_invalid' }));
  });

  test('is accepted once it means something', () => {
    expect(load(workflow({ steps: [extractStep], probe })).count()).toBe(1);
  });

  test('is refused when it cannot be read', () => {
    const unreadable = () => {
      throw new Error('ENOENT');
    };
    expect(() => createWorkflowRegistry(unreadable)).toThrow('Failed to load agent knowledge base: ENOENT');
  });
});

describe('the overlay', () => {
  const over = (overlay: unknown) =>
    createWorkflowRegistry(() => ({ knowledgeBase: knowledgeBase(workflow()), overlay }));

  test('replaces fields of a workflow and of its steps, and leaves the others', () => {
    const one = over({ workflows: [{ id: 'one', version: 7, steps: [{ order: 1, timeoutMs: 9_000 }] }] }).getDefinition(
      'one',
    );
    expect(one).toMatchObject({ version: 7, name: 'One', steps: [{ timeoutMs: 9_000, value: '{label}' }] });
  });

  test.each([
    { what: 'an unknown workflow', overlay: { workflows: [{ id: 'two' }] }, words: 'unknown workflow: two' },
    {
      what: 'an unknown step',
      overlay: { workflows: [{ id: 'one', steps: [{ order: 4 }] }] },
      words: 'unknown step: 4',
    },
    {
      what: 'nothing that a step has',
      overlay: { workflows: [{ id: 'one', steps: [{ order: 1, colour: 'red' }] }] },
      words: 'colour',
    },
  ])('is refused for $what', ({ overlay, words }) => {
    expect(() => over(overlay)).toThrow(words);
  });
});
