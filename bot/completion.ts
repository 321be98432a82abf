import type { Member } from '../core/customers/customers.ts';
import type { ThreadState } from '../core/operations/threads.ts';
import type { Service } from '../core/services/service.ts';
import type { Intent } from './intent.ts';
import type { Wish } from './intent-several.ts';

const AWAITING_MS = 30 * 60_000; // after that, an address in the thread is no answer to an old question

/**
 * What somebody says, together with what they asked for before: an address alone, or the name that the service knows its
 * target by, from whoever was asked for it, completes that request.
 */
export function completed(
  services: readonly Service[],
  { thread: { awaiting }, member }: { readonly thread: ThreadState; readonly member: Member },
  words: string,
  intent: Intent,
): Intent {
  const isAnswer =
    awaiting && awaiting.memberId === member.id && Date.now() - Date.parse(awaiting.askedAt) < AWAITING_MS;
  if (!isAnswer) return intent;
  const { service, wantsWrite, together } = awaiting;
  const name = words.trim().replace(/[.!]$/, '').toLowerCase();
  const named = (id: string) => services.find((known) => known.id === id)?.targetName?.test(name) ?? false;
  if (together) return completedAll(services, together, intent, named, name) ?? intent;
  if (intent.kind === 'target') return { kind: 'set_up', service, target: intent.target, wantsWrite };
  return intent.kind === 'unsure' && named(service) ? { kind: 'set_up', service, target: name, wantsWrite } : intent;
}

/** Everything that was asked for at once, with what the answer adds to it; `undefined` where it adds nothing. */
function completedAll(
  services: readonly Service[],
  wishes: readonly Wish[],
  intent: Intent,
  named: (service: string) => boolean,
  name: string,
): Intent | undefined {
  const isMissing = ({ service, target }: Wish) =>
    target === undefined && services.find(({ id }) => id === service)?.home === undefined;
  const missing = wishes.filter(isMissing);
  const filled = (which: readonly Wish[], target: string): Intent => ({
    kind: 'set_up_together',
    wishes: wishes.map((wish) => (which.includes(wish) ? { ...wish, target } : wish)),
  });
  switch (intent.kind) {
    case 'target':
      return missing.length > 0 ? filled(whose(services, missing, intent.target), intent.target) : undefined;
    case 'unsure': {
      const its = missing.filter(({ service }) => named(service));
      return its.length > 0 ? filled(its, name) : undefined;
    }
    case 'set_up':
    case 'set_up_together': {
      const said = intent.kind === 'set_up' ? [intent] : intent.wishes;
      const isAbout = said.every((each) => wishes.some(({ service }) => service === each.service));
      if (intent.unclear || !isAbout || said.every(({ target }) => target === undefined)) return undefined;
      const targetOf = (wish: Wish) => said.find(({ service }) => service === wish.service)?.target;
      return {
        kind: 'set_up_together',
        wishes: wishes.map((wish) => ({ ...wish, ...withTarget(targetOf(wish)) })),
      };
    }
    default:
      return undefined;
  }
}

function withTarget(target: string | undefined): { target?: string } {
  return target === undefined ? {} : { target };
}

/** Of several that lack an address: those that this one can be of; a service whose addresses are like no other's comes first. */
function whose(services: readonly Service[], missing: readonly Wish[], address: string): readonly Wish[] {
  if (missing.length === 1) return missing; // if it is wrong, that is said
  const fitting = missing.filter(
    (wish) => services.find(({ id }) => id === wish.service)?.parseTarget(address).kind === 'target',
  );
  const own = fitting.filter((wish) => services.find(({ id }) => id === wish.service)?.targetName !== undefined);
  const its = own.length > 0 ? own : fitting;
  return its.length > 0 ? its : missing;
}
