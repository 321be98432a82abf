// Claude as it is configured, for words and for pages.
import { createEgress } from '../adapters/browser/index.ts';
import { createAnthropicModel, createAnthropicPageModel } from '../adapters/model/index.ts';
import { measuredPageModel } from '../core/measured-ports.ts';
import type { RunnerDeps } from '../core/operations/run.ts';
import type { Egress } from '../core/ports/egress.ts';
import type { Log } from '../core/ports/log.ts';
import type { Metrics } from '../core/ports/metrics.ts';
import type { Model } from '../core/ports/model.ts';
import { type Redact, redactedModel } from '../core/redacted-ports.ts';
import type { Config } from './config.ts';

/** The model that understands what people write; none without a key. */
export function modelFor({ model }: Config, log: Log, redact: Redact): Model | undefined {
  return model && redactedModel(createAnthropicModel({ ...model, egress: modelEgress(model, log), log }), redact);
}

/** The model that steps may ask; none in replay mode, nor without a key. */
export function pagesFor({ model, agent, limits }: Config, log: Log, metrics: Metrics): Pick<RunnerDeps, 'pages'> {
  if (model === undefined || agent.mode === 'replay') return {};
  return {
    pages: {
      model: measuredPageModel(createAnthropicPageModel({ ...model, egress: modelEgress(model, log), log }), metrics),
      limits: { perOperationUsd: limits.modelBudgetUsdPerOperation, perMonthUsd: limits.modelBudgetUsdPerMonth },
    },
  };
}

/** The model's own way out: a configured address may be private, which no page and no other call may reach for that. */
function modelEgress({ baseUrl }: NonNullable<Config['model']>, log: Log): Egress {
  if (baseUrl === undefined) return createEgress({ privateTargets: [], log });
  const { host, port, protocol } = new URL(baseUrl);
  const standard = protocol === 'https:' ? 443 : 80;
  return createEgress({ privateTargets: [port === '' ? `${host}:${standard}` : host], log });
}
