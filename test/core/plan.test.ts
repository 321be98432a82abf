import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { canonical, type Json, sha256Hex } from '../../core/canonical.ts';
import { parseOperationId } from '../../core/ids.ts';
import {
  fitsPlan,
  isAboutOwnKey,
  keyLabel,
  makePlan,
  type Plan,
  planHash,
  planText,
  readPlan,
} from '../../core/operations/plan.ts';
import { woocommerce } from '../../core/services/woocommerce/index.ts';
import { createWorkflowRegistry } from '../../core/workflow/registry.ts';

const operationId = parseOperationId('op-7k3f9q2m');
if (!operationId) throw new Error('no operation id');
const type = woocommerce.operationTypes.api_key_generation;
const [way] = type.ways;
const input = {
  operationId,
  service: woocommerce,
  type,
  way,
  origin: 'https://shop.example.com',
  base: 'https://shop.example.com/store',
  workflow: createWorkflowRegistry().getDefinition(way.workflowId),
  permissions: ['sign_in', 'create_api_key', 'read_shop', 'check_key'],
  replaces: 'Countersign op-earlier',
  now: new Date('2026-11-23T07:30:00.000Z'),
};
const plan = makePlan(input);

/** A plan whose bytes do not follow from any workflow, so that its hash stays the same for good. */
const FIXED: Plan = {
  v: 1,
  operationId: 'op-7k3f9q2m',
  operationType: 'api_key_generation',
  service: 'woocommerce',
  origin: 'https://shop.example.com',
  base: 'https://shop.example.com',
  workflowId: 'woocommerce_api_key_generation',
  workflowVersion: 3,
  label: 'Countersign op-7k3f9q2m',
  permissions: ['create_api_key', 'sign_in'],
  values: { scope: 'read', ä: '“€😀”\u2028\\"' },
  steps: [{ order: 1, intent: 'Sign in', permission: 'sign_in', risk: 'reads' }],
  stores: 'In the vault.',
  replaces: null,
  expiresAt: '2026-11-23T07:45:00.000Z',
  runsUntil: '2026-11-23T08:45:00.000Z',
};

describe('the hash of a plan', () => {
  test('is SHA-256 of its RFC 8785 text, for good', () => {
    const text =
      '{"base":"https://shop.example.com","expiresAt":"2026-11-23T07:45:00.000Z","label":"Countersign op-7k3f9q2m",' +
      '"operationId":"op-7k3f9q2m","operationType":"api_key_generation","origin":"https://shop.example.com",' +
      '"permissions":["create_api_key","sign_in"],"replaces":null,"runsUntil":"2026-11-23T08:45:00.000Z","service":"woocommerce",' +
      '"steps":[{"intent":"Sign in","order":1,"permission":"sign_in","risk":"reads"}],"stores":"In the vault.","v":1,' +
      '"values":{"scope":"read","ä":"“€😀”\u2028\\\\\\""},"workflowId":"woocommerce_api_key_generation","workflowVersion":3}';
    expect(planText(FIXED)).toBe(text);
    expect(planHash(FIXED)).toBe(createHash('sha256').update(text, 'utf8').digest('hex'));
  });

  test('is the same whatever order keys and permissions were given in, and after a stay in the database', () => {
    expect(planHash(makePlan({ ...input, permissions: [...input.permissions].reverse() }))).toBe(planHash(plan));
    expect(planHash(reversed(plan) as Plan)).toBe(planHash(plan)); // the same keys and values
    expect(planHash(readPlan(planText(plan)))).toBe(planHash(plan));
    expect(planText(readPlan(planText(plan)))).toBe(planText(plan));
  });

  test('changes with every single value of the plan', () => {
    const hashes = changes(plan).map((changed) => sha256Hex(canonical(changed)));
    expect(hashes.length).toBeGreaterThan(50);
    expect(new Set([planHash(plan), ...hashes]).size).toBe(hashes.length + 1);
  });
});

describe('a plan', () => {
  test('names what is done, where, by which workflow, and under which label', () => {
    expect(plan).toMatchObject({
      v: 1,
      operationId,
      service: 'woocommerce',
      operationType: 'api_key_generation',
      origin: 'https://shop.example.com',
      base: 'https://shop.example.com/store',
      workflowId: input.workflow.id,
      workflowVersion: input.workflow.version,
      label: 'Countersign op-7k3f9q2m',
      permissions: ['check_key', 'create_api_key', 'read_shop', 'sign_in'],
      values: { scope: 'read', scopeWords: 'Read' },
    });
    expect(plan.steps).toHaveLength(input.workflow.steps.length);
    expect(plan.steps.map(({ intent }) => intent).join('\n')).not.toMatch(/[{}]/); // no placeholder is left
  });

  test('asks for no step that its permissions do not cover', () => {
    expect(plan.steps.filter(({ permission }) => !plan.permissions.includes(permission))).toEqual([]);
  });

  test('lapses fifteen minutes after it was made, and must be over an hour after that', () => {
    expect([plan.expiresAt, plan.runsUntil]).toEqual(['2026-11-23T07:45:00.000Z', '2026-11-23T08:45:00.000Z']);
  });

  test('shows another power where other permissions are chosen', () => {
    const both = makePlan({ ...input, permissions: [...input.permissions, 'write_shop'] });
    expect(both.values).toEqual({ scope: 'read_write', scopeWords: 'Read/Write' });
    expect(both.steps.map(({ intent }) => intent).join('\n')).toContain('Read/Write');
  });

  test('fits the very version of its workflow, whatever the steps of another one are', () => {
    expect(fitsPlan(input.workflow, plan)).toBe(true);
    for (const version of [input.workflow.version - 1, input.workflow.version + 1])
      expect(fitsPlan({ ...input.workflow, version }, plan), String(version)).toBe(false);
  });

  test.each([
    ['Countersign op-earlier2', true],
    ['Countersign op-earlier2 3', true],
    ['Countersign op-earlier2 of the till', false],
    ['Countersign op-earlier22', false],
    ['Countersign op-another2', false],
    ['Till', false],
  ])('is about a key of ours or not: %s', (label, isOurs) => {
    const about = { ...plan, key: { operationId: 'op-earlier2', label, lastFour: '' } };
    expect(isAboutOwnKey({ ...about, values: { ...plan.values, oldLabel: label } })).toBe(isOurs);
    expect(isAboutOwnKey({ ...about, values: { ...plan.values, oldLabel: 'Till' } })).toBe(label === 'Till' && isOurs);
  });

  test('is read back strictly: a field more, a field less or another version is none', () => {
    const { stores, ...less } = FIXED;
    expect(stores).toBe('In the vault.');
    for (const text of [
      JSON.stringify({ ...FIXED, more: 1 }),
      JSON.stringify(less),
      JSON.stringify({ ...FIXED, v: 2 }),
      '{}',
      'x',
      '',
    ])
      expect(() => readPlan(text), text).toThrow();
  });

  test('has a label of its own for each attempt, which holds the operation id', () => {
    expect([1, 2, 3].map((attempt) => keyLabel(operationId, attempt))).toEqual([
      'Countersign op-7k3f9q2m',
      'Countersign op-7k3f9q2m 2',
      'Countersign op-7k3f9q2m 3',
    ]);
  });
});

describe('the one spelling of a value', () => {
  test('refuses what it can not spell', () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, { a: Number.NaN }, ['\ud800']])
      expect(() => canonical(value), JSON.stringify(value)).toThrow();
  });

  test('sorts keys by UTF-16 code units, and spells numbers as JavaScript does (RFC 8785, 3.2.3)', () => {
    expect(canonical({ '\u20ac': 1, '\r': 2, '\ufb33': 3, '1': 4, '😀': 5, '\u0080': 6, ö: 7 })).toBe(
      '{"\\r":2,"1":4,"\u0080":6,"ö":7,"€":1,"😀":5,"\ufb33":3}',
    );
    expect(canonical([333333333.3333333, 1e30, 4.5, 2e-3, 1e-27, -0])).toBe(
      '[333333333.3333333,1e+30,4.5,0.002,1e-27,0]',
    );
  });
});

function reversed(value: Json): Json {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, inner]) => [key, reversed(inner)]),
  );
}

/** Every plan that differs in one leaf, one key, or one member of a list. */
function changes(value: Json): Json[] {
  if (typeof value === 'string') return [`${value} `];
  if (typeof value === 'number') return [value + 1];
  if (typeof value !== 'object' || value === null) return [];
  if (Array.isArray(value)) {
    const list: readonly Json[] = value;
    return [
      ...list.flatMap((inner, at) => changes(inner).map((changed) => list.with(at, changed))),
      ...list.map((_, at) => list.toSpliced(at, 1)),
    ];
  }
  const entries = Object.entries(value);
  return [
    ...entries.flatMap(([key, inner]) => changes(inner).map((changed) => ({ ...value, [key]: changed }))),
    ...entries.map(([key]) => Object.fromEntries(entries.filter(([other]) => other !== key))),
  ];
}
