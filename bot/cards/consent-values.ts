import type { Shown } from '../../core/consent/consent.ts';
import type { Operation } from '../../core/operations/operation.ts';

/** What a button of the consent card carries: the operation and the plan that was shown. */
export function consentValue(operationId: string, planHash: string): string {
  return `${operationId} ${planHash}`;
}

/** @returns undefined for anything that the card did not write. */
export function readConsentValue(value: string): Shown | undefined {
  const [operationId, planHash, ...rest] = value.split(' ');
  return operationId && planHash && rest.length === 0 ? { operationId, planHash } : undefined;
}

/** What the button of another way carries: the same, and the way. */
export function wayValue({ id, planHash }: Operation, way: string): string {
  return `${consentValue(id, planHash)} ${way}`;
}

/** @returns undefined for anything that the card did not write. */
export function readWayValue(value: string): { readonly shown: string; readonly way: string } | undefined {
  const at = value.lastIndexOf(' ');
  const shown = value.slice(0, Math.max(0, at));
  return readConsentValue(shown) && { shown, way: value.slice(at + 1) };
}

/** So many operations are asked about together at most. */
export const MOST_TOGETHER = 3;

/** What a button about several plans carries: each operation with the plan that was shown of it. */
export function togetherValue(operations: readonly Operation[]): string {
  return operations.map(({ id, planHash }) => consentValue(id, planHash)).join(' ');
}

/** @returns undefined for anything that no card wrote: it names two operations or more, and each once. */
export function readTogetherValue(value: string): readonly Shown[] | undefined {
  const words = value.split(' ');
  const shown = Array.from({ length: Math.ceil(words.length / 2) }, (_, index) =>
    readConsentValue(words.slice(2 * index, 2 * index + 2).join(' ')),
  ).flatMap((each) => (each ? [each] : []));
  const ids = new Set(shown.map(({ operationId }) => operationId));
  const isWhole = shown.length * 2 === words.length && ids.size === shown.length;
  return isWhole && ids.size > 1 && ids.size <= MOST_TOGETHER ? shown : undefined;
}
