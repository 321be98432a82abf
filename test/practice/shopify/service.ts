import type { OperationTypeDefinition, Service, Way } from '../../../core/services/service.ts';
import { shopify } from '../../../core/services/shopify/index.ts';
import type { PracticeShopify } from './server.ts';

/**
 * Shopify as it is, but whatever store is named is the practice one, and so are the dashboard and the sign-in: the name has to be
 * one that Shopify's own could have.
 */
export function practiceService({
  origin,
  dashboard,
  accounts,
}: Pick<PracticeShopify, 'origin' | 'dashboard' | 'accounts'>): Service {
  const at = (way: Way): Way => (way.origins ? { ...way, origins: [accounts, dashboard] } : way);
  const practised = (type: OperationTypeDefinition): OperationTypeDefinition => {
    const [first, ...others] = type.ways;
    return {
      ...type,
      ways: [at(first), ...others.map(at)],
      values: (permissions) => ({ ...type.values(permissions), dashboardBase: dashboard }),
    };
  };
  const { api_key_generation: type } = shopify.operationTypes;
  return {
    ...shopify,
    operationTypes: type ? { api_key_generation: practised(type) } : {},
    parseTarget(text) {
      const target = shopify.parseTarget(text);
      return target.kind === 'target' ? { kind: 'target', origin, base: origin } : target;
    },
  };
}
