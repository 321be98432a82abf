import { createReadStream } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import {
  type BundleReport,
  isSpelledOut,
  verifyBundle,
  type Witness,
  witnessProblem,
} from '../../core/audit/bundle.ts';
import type { ChainVerdict } from '../../core/audit/chain.ts';
import { bundleDocument, bundleLines, exportTrail, trailTable } from '../../core/audit/export.ts';
import { CountersignError } from '../../core/errors.ts';
import { type CustomerId, parseOperationId } from '../../core/ids.ts';
import type { CheckpointStore } from '../../core/ports/checkpoints.ts';
import { faultWords } from '../cards/audit-card.ts';
import type { Foundation } from '../foundation.ts';
import { type Call, type Command, counted, misused } from './command.ts';
import { CUSTOMER, customerOf } from './whom.ts';

/** `audit verify`: offline on an export, or on the database. Needs neither for the other. */
export const auditVerify: Command = {
  usage: 'audit verify [FILE]',
  summary: 'Checks a trail: an export by itself, without any database, or (--customer) the one in the database.',
  options: {
    checkpoints: {
      type: 'string',
      help: 'a folder of signed checkpoints to compare with, such as CHECKPOINT_DIR or a copy',
    },
    keys: { type: 'string', help: 'a file of public keys to trust; by default keys.txt of that folder' },
    witness: {
      type: 'string',
      help: 'the place in the chain that a result message in the chat names, such as 412:5be0aa00',
    },
    customer: CUSTOMER,
  },
  run: (call) => (call.args[0] === undefined ? verifyDatabase(call) : verifyFile(call, call.args[0])),
};

/** `audit export`: the trail of a customer, or of one operation, into a file. */
export const auditExport: Command = {
  usage: 'audit export',
  summary: 'Writes a trail into a file. JSON Lines and JSON prove themselves (audit verify FILE); CSV is for reading.',
  options: {
    customer: CUSTOMER,
    operation: { type: 'string', help: 'only this operation, op-…' },
    from: { type: 'string', help: 'entries from this day or time on, such as 2026-01-31 or 2026-01-31T12:00:00Z' },
    to: { type: 'string', help: 'entries up to this day or time, which is included' },
    format: { type: 'string', help: 'jsonl (the default), json or csv' },
    out: { type: 'string', help: 'the file to write' },
  },
  run: writeExport,
};

async function verifyDatabase(call: Call): Promise<number> {
  const witness = witnessOf(call);
  if (witness === null) return misused(call, NO_WITNESS);
  if (text(call, 'customer') === undefined)
    return misused(call, 'Name the export to check, or the customer in the database (--customer NAME).');
  const foundation = await call.open();
  const customer = await customerOf(call, foundation);
  if (!customer) return 2;
  const { audit, checkpoints, database } = foundation;
  const store = storeOf(call);
  const held = await checkpoints.held(customer, store, await keysOf(call, store));
  const verdict = await audit.verify(customer, held.checkpoints);
  const problems = [...held.problems];
  if (verdict.isIntact) {
    call.say(
      `The chain in the database is intact: ${counted(verdict.entries, 'entry', 'entries')}${lastWords(verdict)}.`,
    );
    for (const words of lossWords(verdict)) call.say(words);
    const row =
      witness &&
      (await database.withCustomer(customer, (tx) =>
        tx.auditEntry.findFirst({ where: { customerId: customer, seq: witness.seq }, select: { hash: true } }),
      ));
    const hash = row ? Buffer.from(row.hash).toString('hex') : undefined;
    const doubt = witness && witnessProblem(witness, hash, verdict.seq);
    if (doubt !== undefined) problems.push(doubt);
    const newest = held.checkpoints.at(-1);
    sayWhoVouches(
      call,
      { first: verdict.droppedUpTo + 1n, end: verdict.seq },
      newest,
      held.checkpoints.length,
      doubt === undefined ? witness : undefined,
    );
  }
  return conclude(call, verdict, problems);
}

async function verifyFile(call: Call, file: string): Promise<number> {
  const store = storeOf(call);
  const keys = await keysOf(call, store);
  const witness = witnessOf(call);
  if (witness === null) return misused(call, NO_WITNESS);
  const options = {
    ...(witness ? { witness } : {}),
    ...(store ? { notes: (id: CustomerId) => store.read(id) } : {}),
    ...(keys ? { keys } : {}),
  };
  let report: BundleReport | undefined;
  try {
    report = (await verifyBundle(linesOf(file), options)) ?? (await verifyBundle(entriesOf(file), options));
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && 'syscall' in error)) throw error;
    return misused(call, `${file} could not be read: ${error.code}.`);
  }
  if (!report)
    return misused(
      call,
      `${file} is no audit export that can be verified: give a thread's “Export JSON” or “Export lines (JSONL)”, or what “audit export” wrote as jsonl or json. CSV is for reading alone.`,
    );
  const { head, verdict, checkpoint, checkpoints, keysFrom } = report;
  if (verdict.isIntact) {
    const what = head.operationId ? ` about ${head.operationId}` : '';
    call.say(
      `The export${what} of ${head.exportedAt} ${report.problems.length === 0 ? 'is intact' : 'holds together by itself'}: ${counted(verdict.entries, 'entry', 'entries')}${lastWords(verdict)}.`,
    );
    if (BigInt(head.after.seq) > 0n && !head.isAfterDropped)
      call.say(`It begins behind entry #${head.after.seq}: what lies before was not asked for.`);
    if (head.upTo !== head.head.seq) call.say(`It ends before the trail did, which then stood at #${head.head.seq}.`);
    for (const words of lossWords(verdict)) call.say(words);
    if (verdict.locked > 0)
      call.say(
        `${counted(verdict.locked, 'payload is', 'payloads are')} erased: the customer's key was destroyed, and nobody can open what it sealed.`,
      );
    if (report.withheld > 0)
      call.say(
        `${counted(report.withheld, 'payload is', 'payloads are')} withheld: ${report.withheld === 1 ? 'it belongs to another operation' : 'they belong to other operations'}.`,
      );
    sayWhoVouches(
      call,
      { first: BigInt(head.after.seq) + 1n, end: verdict.seq },
      checkpoint,
      checkpoints,
      report.problems.length === 0 ? witness : undefined,
    );
    if (checkpoint && keysFrom === 'the export')
      call.say(
        `The signatures were checked with keys that the export itself brought (${checkpoint.keyId}): compare with keys that you got elsewhere (--keys FILE).`,
      );
  }
  return conclude(call, verdict, report.problems);
}

const NO_CHECKPOINT = 'There is no signed checkpoint to compare with.';
const NO_WITNESS =
  'A witness looks like 412:5be0aa00: the number of an entry, and at least 8 digits of its hash, as a result message in the chat names them.';

/** How far somebody other than whoever keeps the chain vouches for it, and what nobody can tell from it. */
function sayWhoVouches(
  { say }: Call,
  { first, end }: { readonly first: bigint; readonly end: bigint },
  checkpoint: { readonly seq: bigint; readonly at: Date } | undefined,
  count: number,
  witness: Witness | undefined,
): void {
  if (checkpoint) {
    const [seq, signed, age] = [checkpoint.seq, checkpoint.at.toISOString(), Date.now() - checkpoint.at.getTime()];
    say(
      `It agrees with ${counted(count, 'signed checkpoint')}, the last one at #${seq} of ${signed}, ${ageWords(age)}.`,
    );
  } else say(NO_CHECKPOINT);
  if (witness) say(`It holds entry #${witness.seq} as the chat witnessed it.`);
  if (end < first) return;
  const upTo = [checkpoint?.seq ?? 0n, witness?.seq ?? 0n].reduce((a, b) => (a > b ? a : b));
  if (upTo >= first) say(`So it is vouched for up to entry #${upTo < end ? upTo : end}.`);
  const rest = upTo >= first ? upTo + 1n : first;
  if (rest <= end) say(`Nothing but the chain itself vouches for ${rest === end ? `#${end}` : `#${rest} to #${end}`}.`);
  const advice = witness ? '' : ', and give what it says after “chain” (--witness NUMBER:HASH)';
  say(
    `That entries after #${end} were cut off cannot be excluded: compare with the newest result message in the chat${advice}.`,
  );
}

/** `a minute ago`, `3 hours ago`: of a clock that may go wrong, so never of the future. */
function ageWords(ms: number): string {
  const minutes = Math.max(0, Math.floor(ms / 60_000));
  const [count, unit] =
    minutes < 120
      ? [minutes, 'minute']
      : minutes < 48 * 60
        ? [Math.floor(minutes / 60), 'hour']
        : [Math.floor(minutes / 1440), 'day'];
  return count === 0 ? 'less than a minute ago' : `${counted(count, unit)} ago`;
}

function conclude(call: Call, verdict: ChainVerdict, problems: readonly string[]): number {
  if (!verdict.isIntact) call.say(faultWords(verdict));
  for (const problem of problems) call.say(problem);
  return verdict.isIntact && problems.length === 0 ? 0 : 1;
}

function lastWords({ seq, hash, entries }: Extract<ChainVerdict, { isIntact: true }>): string {
  return entries === 0 ? '' : `, the last one #${seq} · ${hash.slice(0, 8)}`;
}

/** What is gone, and may be. */
function lossWords({ droppedUpTo, erased }: Extract<ChainVerdict, { isIntact: true }>): readonly string[] {
  return [
    ...(droppedUpTo > 0n
      ? [`Entries up to #${droppedUpTo} are retention-dropped: their time was over, and an entry says so.`]
      : []),
    ...(erased > 0
      ? [
          `${counted(erased, 'payload is', 'payloads are')} erased; ${erased === 1 ? 'its entry is' : 'their entries are'} not.`,
        ]
      : []),
  ];
}

async function writeExport(call: Call): Promise<number> {
  const { operation, from, to } = {
    operation: text(call, 'operation'),
    from: text(call, 'from'),
    to: text(call, 'to'),
  };
  const out = text(call, 'out');
  const format = text(call, 'format') ?? 'jsonl';
  const operationId = operation === undefined ? undefined : parseOperationId(operation);
  const times = { from: timeOf(from, '00:00:00.000Z'), to: timeOf(to, '23:59:59.999Z') };
  if (!out) return misused(call, 'Say which customer (--customer NAME) and where to write (--out FILE).');
  if (format !== 'jsonl' && format !== 'json' && format !== 'csv')
    return misused(call, 'The format is jsonl, json or csv.');
  if (operation !== undefined && !operationId) return misused(call, 'An operation looks like op-7k3f9q2m.');
  if (times.from === null || times.to === null)
    return misused(call, 'A time looks like 2026-01-31 or 2026-01-31T12:00:00Z.');
  const foundation = await call.open();
  const customer = await customerOf(call, foundation);
  if (!customer) return 2;
  const { database, audit } = foundation;
  await database.withCustomer(customer, (tx) =>
    audit.append(tx, customer, {
      kind: 'trail.read',
      ...(operationId ? { operationId } : {}),
      payload: { how: 'export', by: 'the operator', format },
    }),
  );
  const trail = await exportTrail(foundation, customer, {
    ...(times.from ? { from: times.from } : {}),
    ...(times.to ? { to: times.to } : {}),
    ...(operationId ? { operationId } : {}),
  });
  const count = await writeLines(
    out,
    format === 'csv'
      ? trailTable(trail, await namesOf(foundation, customer))
      : format === 'json'
        ? bundleDocument(trail)
        : bundleLines(trail),
  );
  const { after, upTo } = trail.head;
  const range = after.seq === upTo ? 'no entry is asked for' : `entries #${BigInt(after.seq) + 1n} to #${upTo}`;
  call.say(`Wrote ${counted(count, 'line')} to ${out}: ${range}.`);
  return 0;
}

async function writeLines(file: string, lines: AsyncIterable<string>): Promise<number> {
  const handle = await open(file, 'w', 0o600);
  try {
    let count = 0;
    for await (const line of lines) {
      await handle.write(line);
      count++;
    }
    await handle.sync();
    return count;
  } finally {
    await handle.close();
  }
}

async function namesOf({ database, customers }: Foundation, customer: CustomerId): Promise<(id: string) => string> {
  const members = await database.withCustomer(customer, (tx) => customers.members(tx, customer));
  const names = new Map(members.map(({ id, person }) => [id as string, person.name]));
  return (id) => names.get(id) ?? id;
}

/** The lines of a file, piece by piece. */
async function* linesOf(file: string): AsyncIterable<readonly string[]> {
  let rest = '';
  for await (const piece of createReadStream(file, { encoding: 'utf8', highWaterMark: 1 << 20 })) {
    const lines = (rest + piece).split('\n');
    rest = lines.pop() ?? '';
    yield lines;
  }
  yield [rest];
}

/** A JSON document as the lines that it stands for. */
async function* entriesOf(file: string): AsyncIterable<readonly string[]> {
  let document: unknown;
  const text = await readFile(file, 'utf8');
  try {
    document = JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return;
    throw error;
  }
  if (document === null || typeof document !== 'object' || !('entries' in document)) return;
  if (!isSpelledOut(text, document)) return;
  const { entries, ...head } = document;
  yield [JSON.stringify(head), ...(Array.isArray(entries) ? entries : []).map((entry) => JSON.stringify(entry))];
}

function storeOf(call: Call): CheckpointStore | undefined {
  const dir = text(call, 'checkpoints');
  return dir === undefined ? undefined : call.checkpoints(dir);
}

/** The keys to trust: those of a file, or those that lie beside the checkpoints. */
async function keysOf(call: Call, store: CheckpointStore | undefined): Promise<readonly string[] | undefined> {
  const file = text(call, 'keys');
  if (file === undefined) return store?.keys();
  try {
    return (await readFile(file, 'utf8')).split('\n').filter((line) => line.trim() !== '');
  } catch (cause) {
    throw new CountersignError('config_invalid', `The file of public keys ${file} could not be read.`, { cause });
  }
}

/** `null`: none that can be read. `#412 · 5be0…` as it is copied from a message will do. */
function witnessOf(call: Call): Witness | undefined | null {
  const words = text(call, 'witness');
  if (words === undefined) return undefined;
  const [, seq = '', hash = ''] = /^\s*#?(\d{1,18})\s*[:·]\s*([0-9a-f]{8,64})\s*$/i.exec(words) ?? [];
  return seq === '' ? null : { seq: BigInt(seq), hash: hash.toLowerCase() };
}

/** `null`: no time at all. A day stands for its first or last moment. */
function timeOf(words: string | undefined, ofDay: string): Date | undefined | null {
  if (words === undefined) return undefined;
  if (!/^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?Z)?$/.test(words)) return null;
  const time = new Date(words.length === 10 ? `${words}T${ofDay}` : words);
  return Number.isNaN(time.getTime()) ? null : time;
}

function text(call: Call, name: string): string | undefined {
  const value = call.values[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}
