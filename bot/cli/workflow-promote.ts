import { readFileSync, writeFileSync } from 'node:fs';
import { relative, resolve, sep } from 'node:path';
import { quoted, withoutTricks } from '../../core/plain-text.ts';
import { isSameElement } from '../../core/workflow/elements.ts';
import { type GatheredProposal, gatherProposals, promote as promoted } from '../../core/workflow/promotion.ts';
import { diffWorkflows } from '../../core/workflow/recorder-diff.ts';
import type { ReplayReport } from '../../core/workflow/replay.ts';
import type { KnowledgeBase, Workflow } from '../../core/workflow/workflow.ts';
import { type Call, type Command, counted } from './command.ts';
import { unifiedDiff } from './unified-diff.ts';
import {
  openRegistry,
  PROJECT,
  readRecorded,
  recordedText,
  registryOf,
  SHIPPED,
  writeRecorded,
} from './workflow-files.ts';
import { startPractice } from './workflow-practice.ts';
import { linesOf } from './workflow-report.ts';
import { baseOf, pairs, type ReplaySite, replayOn, secretsFor } from './workflow-site.ts';

/** What runs have found again on pages that had changed. */
export const workflowProposals: Command = {
  usage: 'workflow proposals [ID]',
  summary:
    'What runs have found again on changed pages: of which step, at how many addresses, for how many customers, and for how many of them an admin marked it; never whose.',
  options: { json: { type: 'boolean', help: 'print it as JSON, with the locators' } },
  async run(call) {
    const found = await gatherProposals(await call.open(), call.args[0]);
    if (call.values.json === true) call.say(JSON.stringify(found, null, 2));
    else for (const each of found) call.say(lineOf(each));
    if (found.length === 0) call.complain('There is none.');
    return 0;
  },
};

function lineOf({ workflowId, workflowVersion, step, field, identity, ...counts }: GatheredProposal): string {
  const what = [identity.role ?? identity.tag, identity.name && quoted(withoutTricks(identity.name))]
    .filter(Boolean)
    .join(' ');
  const where = `${workflowId} v${workflowVersion}  step ${step}${field === undefined ? '' : ` ${field}`}`;
  const marked = counts.marked === 0 ? '' : ` (marked by ${counts.marked})`;
  const often = `${counted(counts.targets, 'address', 'addresses')}, ${counted(counts.customers, 'customer')}${marked}, held ${counts.held}×`;
  return `${where}  ${often}  ${what}`;
}

/** Takes proposals into a knowledge base, once a replay has shown that they hold. */
export const workflowPromote: Command = {
  usage: 'workflow promote ID',
  summary:
    'Takes what runs have found again on changed pages into the workflow: replays it first, and shows the difference for review. Without --apply nothing is written.',
  options: {
    base: { type: 'string', help: 'a site with the changed pages; without it, the practice service' },
    input: { type: 'string', multiple: true, help: 'name=value, for each input' },
    secret: { type: 'string', multiple: true, help: 'slot=@FILE or slot=env:NAME, for each secret' },
    'allow-private': { type: 'boolean', help: 'the site may be on this computer or in a private network' },
    addresses: { type: 'string', default: '1', help: 'only what was found at so many addresses at least' },
    'knowledge-base': { type: 'string', help: 'a file that `workflow record --out` made, instead of the shipped one' },
    out: { type: 'string', help: 'write the difference to this file, as git apply takes it' },
    apply: { type: 'boolean', help: 'write the knowledge base' },
  },
  run: promote,
};

async function promote(call: Call): Promise<number> {
  const own = call.values['knowledge-base'];
  const file = typeof own === 'string' ? resolve(own) : SHIPPED;
  const least = Number(call.values.addresses);
  if (!Number.isInteger(least) || least < 1) {
    call.complain('--addresses takes a number from 1.');
    return 2;
  }
  const current = openRegistry(file).getDefinition(call.args[0] ?? '');
  const all = await gatherProposals(await call.open(), current.id);
  const fitting = all.filter(({ workflowVersion, targets }) => workflowVersion === current.version && targets >= least);
  const candidate = candidateOf(call, file, current, fitting);
  if (candidate === undefined) return 1;
  const problem = await problemOf(call, candidate.merged);
  if (problem !== undefined) {
    call.complain(`${problem} Nothing was written.`);
    return 1;
  }
  return show(call, file, current, candidate);
}

interface Candidate {
  readonly knowledgeBase: KnowledgeBase;
  /** As the program would run it, its overlay included. */
  readonly merged: Workflow;
}

/** `undefined`, and said why: there is nothing to promote, or the hand-written overlay has the last word there. */
function candidateOf(
  call: Call,
  file: string,
  current: Workflow,
  fitting: readonly GatheredProposal[],
): Candidate | undefined {
  const recorded = readRecorded(file);
  const known = recorded.workflows.find(({ id }) => id === current.id);
  if (!known) {
    call.complain(`${current.id} is not in ${file}.`);
    return undefined;
  }
  const { workflow, promoted: taken, left } = promoted(known, fitting);
  for (const words of left) call.complain(words);
  for (const each of taken) call.complain(lineOf(each));
  if (taken.length === 0) {
    call.complain('There is nothing to promote.');
    return undefined;
  }
  const workflows = recorded.workflows.map((one) => (one === known ? workflow : one));
  const knowledgeBase = { ...recorded, workflows, generatedAt: new Date().toISOString() };
  const merged = registryOf(file, knowledgeBase).getDefinition(current.id);
  const isOverlaid = taken.some((each) => !knows(merged, each));
  if (!isOverlaid && merged.version === workflow.version) return { knowledgeBase, merged };
  call.complain('The overlay says itself what would be promoted: change it there, by hand.');
  return undefined;
}

/** Whether the workflow would look for it there, and take it for what is meant. */
function knows({ steps }: Workflow, { step: order, field, locators, identity }: GatheredProposal): boolean {
  const step = steps.find((one) => one.order === order);
  const has = (known: typeof locators) => {
    const keys = new Set(known.map((locator) => JSON.stringify(locator)));
    return locators.every((locator) => keys.has(JSON.stringify(locator)));
  };
  if (field !== undefined) return step?.kind === 'extract' && has(step.extract.fields[field]?.locators ?? []);
  if (!step || !('locators' in step) || step.bound !== undefined) return false;
  return has(step.locators) && step.identities.some((one) => isSameElement(one, identity));
}

/** Why it can't be promoted: it does not go through, or finds an element elsewhere than where it would then be recorded. */
async function problemOf(call: Call, workflow: Workflow): Promise<string | undefined> {
  const { base } = call.values;
  const practice = typeof base === 'string' ? undefined : await startPractice(workflow.service);
  try {
    if (practice?.missing !== undefined) call.complain(practice.missing);
    const sites = typeof base === 'string' ? [siteOf(call, workflow, base)] : (practice?.sites ?? []);
    const reports: ReplayReport[] = [];
    for (const site of sites) reports.push(await replayOn(call, workflow, site));
    for (const line of reports.flatMap(linesOf)) call.complain(line);
    if (reports.length === 0 || reports.some(({ success }) => !success)) return 'The replay did not go through.';
    const elsewhere = new Set(reports.flatMap(foundElsewhere));
    return elsewhere.size === 0
      ? undefined
      : `The replay went through, but not by what would be recorded: step ${[...elsewhere].join(', ')} was found elsewhere. A run that finds it there proposes it, too; or record the workflow again.`;
  } finally {
    await practice?.close();
  }
}

function foundElsewhere({ steps }: ReplayReport): readonly number[] {
  return steps.flatMap(({ order, rung }) => (rung === null || rung === 'replayed' || rung === 'none' ? [] : [order]));
}

function siteOf(call: Call, workflow: Workflow, base: string): ReplaySite {
  return {
    base: baseOf(base),
    inputs: pairs(call.values.input, 'input'),
    secrets: secretsFor(workflow, call),
    isPrivateAllowed: call.values['allow-private'] === true,
  };
}

function show(call: Call, file: string, current: Workflow, { knowledgeBase, merged }: Candidate): number {
  for (const line of diffWorkflows(current, merged)) call.complain(line);
  const inside = relative(PROJECT, file).split(sep).join('/');
  const named = inside.startsWith('..') ? file.replace(/^\//, '') : inside;
  const diff = unifiedDiff(readFileSync(file, 'utf8'), recordedText(knowledgeBase), named);
  const { out } = call.values;
  if (typeof out === 'string') writeFileSync(resolve(out), `${diff.join('\n')}\n`);
  else for (const line of diff) call.say(line);
  if (call.values.apply !== true) {
    call.complain('Nothing was written but this difference. With --apply the knowledge base is written.');
    return 0;
  }
  writeRecorded(file, knowledgeBase);
  call.complain(
    `Written: ${file}. ${current.id} has version ${merged.version} now: standing consents for its earlier one are void.`,
  );
  return 0;
}
