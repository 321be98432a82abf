import { isUnencrypted } from '../../ports/http.ts';
import type { TargetResult } from '../service.ts';
import { parseSite } from '../site-target.ts';

/** WordPress makes application passwords over https alone, or where a site says that it is a local one. */
export function parseTarget(text: string): TargetResult {
  const target = parseSite(text);
  if (target.kind === 'invalid' || !isUnencrypted(target.origin)) return target;
  const reason =
    'WordPress makes application passwords for https alone, and this address begins with http. If the site can be opened with https, send that address.';
  return { kind: 'invalid', reason };
}
