import type { Operation } from '../../core/operations/operation.ts';
import type { Block, RichText } from '../../core/ports/chat.ts';
import type { OperationType } from '../../core/services/service.ts';
import { accessWords } from './consent-parts.ts';
import { bold, capital, place, sideOf, text } from './text.ts';

/** What results say differently for each operation type. */

/** `is connected`, at the end of a result's heading. */
export function doneWords({ type, result, service }: Operation): string {
  const isOver = result?.data.revokedAt !== undefined;
  const { name } = service;
  const words: Readonly<Record<OperationType, string>> = {
    api_key_generation: `${name} ${isOver ? 'was connected; the key is revoked' : 'is connected'}`,
    credential_rotation: `The ${name} key ${isOver ? 'was rotated, and is revoked now' : 'is rotated'}`,
    credential_revocation: `The ${name} key is revoked`,
    integration_test: `The ${name} key works`,
  };
  return words[type.type];
}

/** What was not done, for the heading of a result. */
export function notDoneWords({ type, service, plan, isKeyStored }: Operation): string {
  const at = place(plan.base);
  const rotated = isKeyStored ? 'was rotated, but its old one was not seen to have ended' : 'was not rotated';
  const words: Readonly<Record<OperationType, string>> = {
    api_key_generation: `${service.name} for ${at} was not set up`,
    credential_rotation: `The ${service.name} key for ${at} ${rotated}`,
    credential_revocation: `The ${service.name} key for ${at} was not revoked`,
    integration_test: `The ${service.name} key for ${at} was not found to work`,
  };
  return words[type.type];
}

/** The rows about keys: the one that was made, and what became of the one before. */
export function keyRows(operation: Operation): readonly { readonly label: string; readonly value: RichText }[] {
  const { type, result, plan, service, isKeyStored } = operation;
  const data = result?.data;
  const ending = `…${data?.lastFour ?? '????'}`;
  const name = { label: 'Its name there', value: [text(`“${data?.label ?? ''}”`)] };
  if (type.type === 'integration_test') return [{ label: 'Key', value: [text(`${ending}, in the vault`)] }, name];
  if (type.type === 'credential_revocation')
    return [{ label: 'Key', value: [text(`${ending}, ended in ${sideOf(service)}, deleted from the vault`)] }, name];
  const where = data?.replacedBy
    ? `replaced by the key of ${data.replacedBy}`
    : isKeyStored
      ? 'in the vault'
      : 'deleted from the vault';
  const label = type.type === 'credential_rotation' ? 'New key' : 'Key';
  const made = [{ label, value: [text(`${ending}, ${accessWords(operation)}, ${where}`)] }, name];
  if (data?.ended !== undefined)
    return [
      ...made,
      { label: 'Old key', value: [text(`“${plan.key?.label ?? data.replaced ?? ''}”, ended: ${data.ended}`)] },
    ];
  if (!data?.replaced) return made;
  const still = `“${data.replaced}”, which ${sideOf(service)} still knows: revoke it there if nothing uses it`;
  return [...made, { label: 'In place of', value: [text(still)] }];
}

/** Of a rotation that no page and no API ends the old key for, or that failed before: the steps for a person. */
export function oldKeyByHand({ type, plan, result, service, state, isKeyStored }: Operation): readonly Block[] {
  const { key } = plan;
  if (type.type !== 'credential_rotation' || !key || !isKeyStored || result?.data.ended !== undefined) return [];
  const items = type.revokeGuide(plan.base, key.label).map((step) => ({ text: [text(step)] }));
  const knows = state === 'completed' ? 'still knows' : 'may still know'; // nobody saw what became of it
  const lead = `${capital(sideOf(service))} ${knows} the old key, “${key.label}”. `;
  return [
    { kind: 'text', tone: 'warning', text: [bold(lead), text('To end it there:')] },
    { kind: 'list', isNumbered: true, items },
  ];
}

/** What an operation about a stored key has left, when it did not come to its end; `undefined` of one that makes the first. */
export function leftOfKeys({ type, plan, intent, isKeyStored, result, service }: Operation): string | undefined {
  const { key } = plan;
  if (!key) return undefined;
  const side = sideOf(service);
  if (type.type === 'integration_test') return `“${key.label}” stays in the vault as it was.`;
  if (type.type === 'credential_revocation')
    return `Whether “${key.label}” still works in ${side} was not seen. Here it is as it was before.`;
  if (isKeyStored)
    return `The new key “${intent?.label}” works and is the stored one.${type.revoke ? ' Here the old one is kept sealed until it has ended.' : ''}`;
  if (result?.data.replacedBy) return `The key of ${result.data.replacedBy} has taken its place in the vault since.`;
  const old = `The old key, “${key.label}”, was left as it was.`;
  return intent?.state === 'done'
    ? `${old} The new one, “${intent.label}”, was not proven to work, so it was not kept: revoke it in ${side}.`
    : `${old} No new one was stored.`;
}
