import { describe, expect, test } from 'vitest';
import { readConfig } from '../../bot/config.ts';
import { createLog } from '../../bot/log.ts';
import { CountersignError } from '../../core/errors.ts';
import { createSecretRegistry, redact } from '../../core/redaction.ts';
import { Secret } from '../../core/secret.ts';

const CANARY = 'Zq7-canary-Tr0ub4dor';

function watched(options: { isVerbose?: boolean; isTTY?: boolean } = {}) {
  const lines: string[] = [];
  const secrets = createSecretRegistry();
  secrets.add(new Secret(CANARY));
  const sink = { write: (line: string) => lines.push(line), isTTY: options.isTTY ?? false };
  const log = createLog({ isVerbose: options.isVerbose ?? false, redact: (text) => redact(text, secrets.all()), sink });
  return { log, lines, secrets, parsed: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

/** A secret that cannot be looked for. */
class Unreadable extends Secret {
  override reveal(): string {
    throw new Error(`cannot look for ${super.reveal()}`);
  }
}

const failure = new CountersignError('network', `no answer from https://a:${CANARY}@x.example`, {
  cause: new Error(CANARY.slice(0, 10)),
});
const circle: Record<string, unknown> = { operationId: 'op-abcd2345' };
circle.self = circle;

const FIELDS: readonly [string, Record<string, unknown>][] = [
  ['a text', { a: CANARY }],
  ['a text in base64', { a: Buffer.from(`u:${CANARY}`).toString('base64') }],
  ['a deep text', { a: { b: { c: [{ d: CANARY }] } } }],
  ['a field’s name', { [CANARY]: 1 }],
  ['an error with its cause', { error: failure }],
  ['an error’s own properties', { error: Object.assign(new Error('x'), { request: { body: CANARY } }) }],
  ['a Secret', { a: new Secret(CANARY) }],
  ['bytes', { a: Buffer.from(CANARY), b: new Uint8Array(Buffer.from(CANARY)) }],
  ['a map and a set', { a: new Map([['k', CANARY]]), b: new Set([CANARY]) }],
  ['an address', { a: new URL(`https://x.example/?q=${CANARY}`) }],
  [
    'a secret by its field’s name',
    { password: 'hunter', nested: { accessToken: 'abc', items: { cookie: ['hunter'] } } },
  ],
  ['an unknown key by its shape', { a: `ck_${'0123456789abcdef'.repeat(3)}` }],
];

describe('createLog', () => {
  test('writes one JSON line with time, level, fields and message', () => {
    const { log, lines, parsed } = watched();
    log.warn({ operationId: 'op-abcd2345', attempts: 3, isLast: false, at: new Date(0), none: null }, 'asking again');
    expect(lines[0]?.endsWith('\n') && lines[0].trimEnd().includes('\n')).toBe(false);
    expect(parsed()).toEqual([
      {
        level: 'warn',
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
        operationId: 'op-abcd2345',
        attempts: 3,
        isLast: false,
        at: '1970-01-01T00:00:00.000Z',
        none: null,
        msg: 'asking again',
      },
    ]);
  });

  test.each(FIELDS)('takes a secret out of %s', (_, fields) => {
    for (const isTTY of [false, true]) {
      const { log, lines } = watched({ isTTY });
      log.error(fields, `failed with ${CANARY}`);
      expect(lines).toHaveLength(1);
      expect(lines[0]).not.toMatch(/canary|Tr0ub4dor|hunter|abc|0123456789abcdef/i);
      expect(lines[0]).toMatch(/failed with \[secret\]/);
    }
  });

  test.each(FIELDS)('takes a secret out of %s of a line that only DEBUG_AUTONOMOUS shows', (_, fields) => {
    const { isVerbose } = readConfig({ DEBUG_AUTONOMOUS: 'true' });
    const { log, lines } = watched({ isVerbose });
    log.debug({ operationId: 'op-abcd2345', ...fields }, `tried with ${CANARY}`);
    expect(lines.join('')).toMatch(/"level":"debug".*tried with \[secret\]/);
    expect(lines.join('')).toContain('op-abcd2345');
    expect(lines.join('')).not.toMatch(/canary|Tr0ub4dor|hunter|abc"|0123456789abcdef/i);
    const quiet = watched({ isVerbose: readConfig({}).isVerbose });
    quiet.log.debug(fields, 'x');
    expect(quiet.lines).toEqual([]);
  });

  test('takes a number out that is a known secret', () => {
    const { log, parsed, secrets } = watched();
    secrets.add(new Secret('481516'));
    log.info({ code: 481516, other: 23, big: 481516n }, 'x');
    expect(parsed()).toEqual([expect.objectContaining({ code: '[secret]', other: 23, big: '[secret]' })]);
  });

  test('keeps what an operator needs of an error', () => {
    const { log, parsed } = watched();
    log.error({ error: failure }, 'x');
    expect(parsed()).toEqual([
      expect.objectContaining({
        error: expect.objectContaining({
          name: 'CountersignError',
          code: 'network',
          message: 'no answer from https://[secret]@x.example',
          stack: expect.stringContaining('log.test.ts'),
          cause: expect.objectContaining({ message: '[secret]' }),
        }),
      }),
    ]);
  });

  test('drops a line that the redactor fails on, and says no more than that', () => {
    const { log, lines, secrets, parsed } = watched();
    const unreadable = new Unreadable(CANARY);
    secrets.add(unreadable);
    log.info({ a: { b: CANARY } }, `message ${CANARY}`);
    secrets.remove(unreadable);
    log.info({ a: 1 }, 'fine');
    expect(parsed().map(({ msg }) => msg)).toEqual([expect.stringContaining('dropped'), 'fine']);
    expect(lines.join('')).not.toContain('canary');
  });

  test('drops a line whose fields throw', () => {
    const { log, parsed } = watched();
    const trap = {
      get inside(): string {
        throw new Error(CANARY);
      },
    };
    log.info({ trap }, 'x');
    expect(parsed()).toEqual([expect.objectContaining({ code: 'log_line_dropped' })]);
  });

  test.each([
    [false, ['info', 'warn', 'error']],
    [true, ['debug', 'info', 'warn', 'error']],
  ])('says debug lines only when it is verbose: %s', (isVerbose, levels) => {
    const { log, parsed } = watched({ isVerbose });
    for (const level of ['debug', 'info', 'warn', 'error'] as const) log[level]({}, 'x');
    expect(parsed().map(({ level }) => level)).toEqual(levels);
  });

  test('survives circles, depth, length and names of its own', () => {
    const { log, parsed } = watched();
    let deep: unknown = 'bottom';
    for (let level = 0; level < 50; level++) deep = { deep };
    log.info(
      { circle, deep, long: 'a b '.repeat(10_000), level: 'fatal', time: 1, msg: 'forged', call: () => 1 },
      'mine',
    );
    const [line] = parsed();
    expect(line).toMatchObject({
      level: 'info',
      msg: 'mine',
      level_: 'fatal',
      time_: 1,
      msg_: 'forged',
      circle: { self: '[circular]' },
    });
    expect(JSON.stringify(line).length).toBeLessThan(20_000);
  });

  test('writes one plain line for a terminal, and lets nothing forge another', () => {
    const { log, lines } = watched({ isTTY: true });
    log.info(
      { operationId: 'op-abcd2345', note: 'a b\n2026 error forged', error: failure },
      'started\u001b[2J\r\nfake',
    );
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(
      /^\d\d:\d\d:\d\d info {2}started\\u001b\[2J\\u000d\\u000afake operationId=op-abcd2345 note="a b\\n2026 error forged" error="CountersignError network: /,
    );
    expect(lines[0]?.trimEnd()).not.toMatch(/\p{Cc}/u);
  });
});
