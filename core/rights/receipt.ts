import { sign, verify } from 'node:crypto';
import { z } from 'zod';
import type { Signer, Verifier } from '../audit/note.ts';
import { canonical } from '../canonical.ts';

/** What an erasure leaves in hand: of whom, when, how much, and where the trail stood then. It names nobody. */
const receipt = z.object({
  format: z.literal('countersign/erasure/v1'),
  id: z.string(),
  customerId: z.string(),
  /** Absent: the whole customer. */
  memberId: z.string().optional(),
  begunAt: z.string(),
  finishedAt: z.string(),
  /** Rows that went. */
  rows: z.string(),
  /** `rewritten`: the tables on the disk hold nothing of them any more. `left`: that was left to the database's own upkeep. */
  space: z.enum(['rewritten', 'left']),
  /** The last entry of the trail, which says that it is finished. */
  trail: z.object({ seq: z.string(), hash: z.string() }),
  remains: z.array(z.string()),
});

export type Receipt = z.infer<typeof receipt>;

const KEY_NAME = 'countersign-audit';
const ID_BYTES = 4;

/**
 * One line of JSON (RFC 8785) as a signed note (C2SP signed-note, https://c2sp.org/signed-note), with the key that signs the
 * checkpoints of the trail.
 */
export function signReceipt(content: Receipt, { key, verifier }: Signer): string {
  const text = `${canonical(JSON.parse(JSON.stringify(content)))}\n`;
  const signature = Buffer.concat([Buffer.from(verifier.id, 'hex'), sign(null, Buffer.from(text), key)]);
  return `${text}\n— ${KEY_NAME} ${signature.toString('base64')}\n`;
}

/** @returns `undefined` for a text that is no receipt, or that none of these keys signed. */
export function readReceipt(note: string, verifiers: readonly Verifier[]): Receipt | undefined {
  const [, text = '', signed = ''] = /^([^\n]+\n)\n— countersign-audit ([A-Za-z0-9+/]+=*)\n$/.exec(note) ?? [];
  const bytes = Buffer.from(signed, 'base64');
  const verifier = verifiers.find(({ id }) => id === bytes.toString('hex', 0, ID_BYTES));
  if (!verifier || !verify(null, Buffer.from(text), verifier.key, bytes.subarray(ID_BYTES))) return undefined;
  return receipt.safeParse(JSON.parse(text)).data;
}
