import { z } from 'zod';
import { type Signer, signerOf, signNote, type Verifier } from '../audit/note.ts';
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

/**
 * One line of JSON (RFC 8785) as a signed note (C2SP signed-note, https://c2sp.org/signed-note), with the key that signs the
 * checkpoints of the trail.
 */
export function signReceipt(content: Receipt, signer: Signer): string {
  return signNote(`${canonical(JSON.parse(JSON.stringify(content)))}\n`, signer);
}

/** @returns `undefined` for a text that is no receipt, or that none of these keys signed. */
export function readReceipt(note: string, verifiers: readonly Verifier[]): Receipt | undefined {
  const [text] = /^[^\n]+\n(?=\n— [^\n]+\n$)/.exec(note) ?? [];
  return text !== undefined && signerOf(note, verifiers) ? receipt.safeParse(JSON.parse(text)).data : undefined;
}
