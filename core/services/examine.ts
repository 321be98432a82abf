import { CountersignError } from '../errors.ts';
import type { EgressReason } from '../ports/egress.ts';
import { bad, good } from './answers.ts';
import { type ResolveDeps, resolveTarget } from './resolve-target.ts';
import type { Finding, Service } from './service.ts';

/**
 * What is wrong with a target, or nothing, in words: without any key, by requests that anybody may make. It tells a closed
 * address from a private one, so it is for operators, approvers and admins alone.
 */
export async function examineTarget(deps: ResolveDeps, service: Service, written: string): Promise<readonly Finding[]> {
  const target = service.parseTarget(written);
  if (target.kind === 'invalid') return [bad(target.reason)];
  const { origin, base } = target;
  const { host } = new URL(origin);
  const verdict = await deps.egress.check(origin);
  if (!verdict.isAllowed) return [bad(`${host} ${REFUSED[verdict.reason]}`)];
  try {
    await deps.http.request({ method: 'GET', url: `${base}/`, origins: [origin], timeoutMs: 8_000 });
    const resolved = await resolveTarget(deps, service, target);
    if (resolved.kind === 'invalid') return [bad(resolved.reason)];
    const moved = resolved.base === base ? [] : [good(`It answers at ${resolved.base}, which is what I would use.`)];
    const found = await service.examine?.({ ...resolved, http: deps.http });
    return [good(`${host} answers.`), ...moved, ...(found ?? [])];
  } catch (error) {
    if (error instanceof CountersignError && ['network', 'egress_refused'].includes(error.code))
      return [bad(error.message)];
    throw error;
  }
}

const REFUSED: Readonly<Record<EgressReason, string>> = {
  unresolvable: 'does not exist: no address is known by that name. Look at its spelling, or at its DNS.',
  private_address:
    'has a private address, which is not reached from here. The operator may list it in ALLOW_PRIVATE_TARGETS.',
  not_listed: 'may not be reached from here.',
  malformed: 'is no address that can be reached.',
};
