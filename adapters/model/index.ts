export { createAnthropicModel } from './answer.ts';
export type { AnthropicModelConfig } from './client.ts';
export { createAnthropicPageModel, type PageModelConfig } from './page-model.ts';
