import { CountersignError } from '../errors.ts';
import type { Operation } from '../operations/operation.ts';
import type { Http } from '../ports/http.ts';
import { redactShown, type SecretRegistry } from '../redaction.ts';
import type { Secret } from '../secret.ts';
import type { VerifyResult } from '../services/service.ts';
import { asSecrets, type CredentialType, type Vault } from '../vault/vault.ts';
import { type ConnectionPlace, HEALTH_CHECK } from './place.ts';
import type { Look } from './verdict.ts';

export interface LookDeps {
  readonly vault: Pick<Vault, 'open'>;
  readonly http: Http;
  /** What no log line may show while a key is open. */
  readonly secrets: SecretRegistry;
}

/** The key lies there and does not open: an operator's slip, and nothing that the service says. */
const UNREADABLE: readonly string[] = ['vault_authentication_failed', 'vault_format_unknown', 'vault_key_missing'];

/**
 * Tries a stored key by the calls that it was proven by, for what was countersigned when it was made. Its opening is on record
 * before the service is asked. `undefined`: no key lies there any more.
 * @throws CountersignError what is no outage of the service, such as `database_unavailable`.
 */
export async function lookAt(
  { vault, http, secrets }: LookDeps,
  { customerId, service, target, credentialType }: ConnectionPlace,
  maker: Operation | undefined,
): Promise<Look | undefined> {
  if (!maker)
    return {
      kind: 'unknowable',
      reason: 'Nobody approved it here, so what it may do is not known and it is not tried.',
    };
  // CHECK autonomous_credentials_type_check guarantees the union: the row was made from one of these.
  const type = credentialType as CredentialType;
  let credential: Readonly<Record<string, Secret>> | null;
  try {
    credential = await vault.open({ customerId, service, type, target, why: HEALTH_CHECK }, (fields) =>
      asSecrets(fields),
    );
  } catch (error) {
    if (!(error instanceof CountersignError && UNREADABLE.includes(error.code))) throw error;
    return {
      kind: 'unknowable',
      reason: 'It could not be opened here, so it was not tried. The operator has to look.',
    };
  }
  if (!credential) return undefined;
  const own = Object.values(credential);
  for (const secret of own) secrets.add(secret);
  try {
    const heard = listening(http);
    const { base, origin, permissions } = maker.plan;
    const verdict = await maker.type.verify({ base, origin, credential, permissions, http: heard.http });
    return cleaned(meaningOf(verdict, heard), own);
  } catch (error) {
    if (error instanceof CountersignError) throw error; // whose words never hold a secret
    throw new Error(redactShown(String(error), own)); // once the key is closed, nobody knows any more what to hide
  } finally {
    for (const secret of own) secrets.remove(secret);
  }
}

interface Heard {
  readonly http: Http;
  hasAsked(): boolean;
  isRefusedHere(): boolean;
}

/** Whether the service was asked at all, which the words of a verdict do not tell a program. */
function listening(http: Http): Heard {
  let asked = 0;
  let isRefused = false;
  return {
    http: {
      async request(request) {
        asked += 1;
        try {
          return await http.request(request);
        } catch (error) {
          isRefused ||= error instanceof CountersignError && error.code === 'egress_refused';
          throw error;
        }
      },
    },
    hasAsked: () => asked > 0,
    isRefusedHere: () => isRefused,
  };
}

function meaningOf(verdict: VerifyResult, heard: Heard): Look {
  if (verdict.kind === 'works') return { kind: 'works', reason: `${verdict.checked}.` };
  const { reason, refusedWith } = verdict;
  if (refusedWith !== undefined) return { kind: 'refused', reason };
  return { kind: heard.hasAsked() && !heard.isRefusedHere() ? 'impaired' : 'unknowable', reason };
}

/** Services answer in their own words, and one may answer with what it was sent. */
function cleaned({ kind, reason }: Look, own: readonly Secret[]): Look {
  return { kind, reason: redactShown(reason, own) };
}
