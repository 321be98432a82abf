import { auditRoute } from './audit-route.ts';
import { consentRoutes } from './consent-routes.ts';
import { credentialRoutes } from './credential-routes.ts';
import { credentialValue } from './credential-value.ts';
import type { RouteDeps } from './deps.ts';
import { operationBeginnings } from './operation-beginnings.ts';
import { operationControls } from './operation-controls.ts';
import { operationReads } from './operation-reads.ts';
import { queueRoutes } from './queue-routes.ts';
import type { ApiRoute } from './route.ts';

/** Every route of the API. */
export function allRoutes(deps: RouteDeps): readonly ApiRoute[] {
  return [
    ...operationBeginnings(deps),
    ...operationReads(deps),
    ...operationControls(deps),
    auditRoute(deps),
    ...consentRoutes(deps),
    ...credentialRoutes(deps),
    credentialValue(deps),
    ...queueRoutes(deps),
  ];
}
