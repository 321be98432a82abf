/**
 * `node test/drift/fingerprints.ts`: runs the WooCommerce workflow once on the practice shop as it is, describes every element
 * that a step finds, and writes the fingerprints into the knowledge base.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { runStep } from '../../core/agent/engine.ts';
import type { BrowserSession, Fingerprint, Locator } from '../../core/ports/browser.ts';
import type { Step } from '../../core/workflow/steps/index.ts';
import { openScene, WORKFLOW_ID, workflow } from './scene.ts';

const FILE = new URL('../../core/workflow/AGENT_KNOWLEDGE_BASE.json', import.meta.url);

/** As far as it is read here; the registry has checked the whole. */
interface Recorded {
  readonly workflows: {
    readonly id: string;
    readonly steps: {
      readonly order: number;
      fingerprint?: Fingerprint;
      readonly extract?: { readonly fields: Record<string, { fingerprint?: Fingerprint }> };
    }[];
  }[];
}

const scene = await openScene({ obstacles: { adminEmailCheck: false } });
try {
  const base = JSON.parse(readFileSync(FILE, 'utf8')) as Recorded; // the file that `workflow` was loaded from
  const recorded = base.workflows.find(({ id }) => id === WORKFLOW_ID);
  for (const step of workflow.steps) {
    const entry = recorded?.steps.find(({ order }) => order === step.order);
    if (entry && 'locators' in step) entry.fingerprint = await fingerprintAt(scene.session, step.locators);
    const result = await runStep(step, scene.run);
    if (result.kind === 'failed') throw new Error(`step ${step.order}: ${result.words}`);
    for (const [name, field] of Object.entries(fieldsOf(step))) {
      const written = entry?.extract?.fields[name];
      if (written) written.fingerprint = await fingerprintAt(scene.session, field.locators);
    }
  }
  writeFileSync(FILE, `${JSON.stringify(base, null, 2)}\n`);
} finally {
  await scene.close();
}

function fieldsOf(step: Step) {
  return step.kind === 'extract' ? step.extract.fields : {};
}

async function fingerprintAt(session: BrowserSession, locators: readonly Locator[]): Promise<Fingerprint> {
  const found = await session.find(locators, { timeoutMs: 10_000, hiddenIsFine: true });
  const description = found.kind === 'found' ? await session.describe(found.element) : undefined;
  if (!description) throw new Error(`nothing to describe at ${JSON.stringify(locators)}`);
  return description.fingerprint;
}
