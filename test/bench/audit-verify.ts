import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCli } from '../../bot/cli.ts';
import { wordsHash } from '../../core/audit/bundle.ts';
import { entryHash } from '../../core/audit/chain.ts';
import { bundleLines, exportTrail } from '../../core/audit/export.ts';
import { newUuid } from '../../core/ids.ts';
import { Prisma } from '../../prisma/generated/client.ts';
import type { Benchmark } from './benchmark.ts';
import type { Rig, RigCustomer } from './rig.ts';
import { repeat, timed } from './samples.ts';

/** The command from its start to its word, on an export; and the same chain where it lies. Steps with sealed words, as runs write them. */
export const auditVerify: Benchmark = {
  name: 'audit-verify',
  async run(bench) {
    const rig = await bench.rig();
    const customer = await rig.addCustomer();
    const entries = bench.isSlice ? 5_000 : 50_000;
    const limits = bench.isSlice ? { times: 3, withinMs: 4_000 } : { times: 10, withinMs: 60_000 };
    await fill(rig, customer, entries);
    const check = async () => {
      const { isIntact } = await rig.audit.verify(customer.customerId);
      if (!isIntact) throw new Error('the chain is broken');
    };
    await check(); // prepared statements, and pages read into memory
    const { it: dir } = await bench.open(
      () => mkdtemp(join(tmpdir(), 'bench-audit-')),
      (made) => rm(made, { recursive: true }),
    );
    const file = join(dir, 'trail.jsonl');
    await writeExport(rig, customer, file, entries);
    const said: string[] = [];
    const complain = (line: string) => said.push(line);
    const verify = async () => {
      const code = await runCli(['audit', 'verify', file], { env: {}, say: complain, complain });
      if (code !== 0) throw new Error(said.join('\n'));
    };
    const rate = (work: () => Promise<void>) => async () => (entries * 1000) / (await timed(work));
    return [
      { what: 'audit entries verified, database', unit: '/s', values: await repeat(limits, rate(check)) },
      { what: 'audit entries verified, export', unit: '/s', values: await repeat(limits, rate(verify)) },
    ];
  },
};

const STEP = {
  kind: 'step.finished',
  success: true,
  durationMs: 1_234,
  rung: 'replayed',
  screenshotSha256: 'ab'.repeat(32),
  payload: {
    intent: 'Sign in as an administrator of the shop',
    action: 'click',
    pageUrl: 'https://shop.example.com/wp-admin/admin.php?page=wc-settings&tab=advanced&section=keys',
    screenshotId: newUuid(),
  },
} as const;

const PART = 2_000; // a transaction has to end within half a minute, on a slow day, too

/** Copies of one entry by the thousand: appending is not what is measured here. */
async function fill({ database, audit }: Rig, { customerId, merchant }: RigCustomer, entries: number): Promise<void> {
  const seq = 1n;
  const first = await database.withCustomer(customerId, async (tx) => {
    await audit.append(tx, customerId, { ...STEP, actor: merchant.id });
    return tx.auditEntry.findUniqueOrThrow({ where: { customerId_seq: { customerId, seq } } });
  });
  const header = database.vouched('audit', customerId, first.header, Prisma.sql`${first.header}::text`);
  for (let made = 1; made < entries; made += PART)
    await database.withCustomer(
      customerId,
      (tx) => tx.$executeRaw`
        SELECT app.append_audit(${header}, a.payload) FROM autonomous_operations_audit a,
          generate_series(1, ${Math.min(PART, entries - made)}::int)
        WHERE a.customer_id = ${customerId}::uuid AND a.seq = 1`,
    );
}

/** A real export's head and first entry, and entries made from that one: opening so many sealed payloads would take minutes. */
async function writeExport(rig: Rig, { customerId }: RigCustomer, file: string, entries: number): Promise<void> {
  const [head = '', first = ''] = await firstTwo(bundleLines(await exportTrail(rig, customerId)));
  const line = JSON.parse(first) as { header: string; salt: string; at: string }; // a line of the export
  const header = JSON.parse(line.header) as { payloadHash: string };
  if (wordsHash(line.salt, STEP.payload) !== header.payloadHash)
    throw new Error('the words are not those of the header');
  const out = createWriteStream(file);
  let prev: Buffer = Buffer.alloc(32);
  const lines: string[] = [];
  for (let seq = 1; seq <= entries; seq++) {
    const hash = entryHash(prev, BigInt(seq), new Date(line.at), line.header);
    lines.push(
      `${JSON.stringify({ ...line, seq: String(seq), prev: prev.toString('hex'), hash: hash.toString('hex') })}\n`,
    );
    prev = hash;
  }
  const end = { seq: String(entries), hash: prev.toString('hex') };
  out.write(`${JSON.stringify({ ...JSON.parse(head), upTo: end.seq, head: end, checkpoints: [] })}\n`);
  for (const text of lines) if (!out.write(text)) await once(out, 'drain');
  out.end();
  await once(out, 'close');
}

async function firstTwo(lines: AsyncIterable<string>): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const line of lines) if (found.push(line) === 2) break;
  return found;
}
