import type { TestProject } from 'vitest/node';

/** Names the variable by which a run is given the server of whoever starts many: what `startTemplate` says of it, as JSON. */
export const RUN_POSTGRES = 'COUNTERSIGN_RUN_POSTGRES';

/** One PostgreSQL for the whole run. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const given = process.env[RUN_POSTGRES];
  if (given) {
    project.provide('postgres', JSON.parse(given));
    return async () => {};
  }
  const { startTemplate } = await import('./template.ts'); // what it takes to start one takes half a second to load
  const { urls, remove } = await startTemplate();
  project.provide('postgres', urls);
  return remove;
}
