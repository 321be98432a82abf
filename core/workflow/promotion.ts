import { domainToUnicode } from 'node:url';
import type { z } from 'zod';
import type { Database, Transaction } from '../database.ts';
import type { Directory } from '../directory.ts';
import type { CustomerId } from '../ids.ts';
import { withoutHidden } from '../plain-text.ts';
import type { Locator } from '../ports/browser.ts';
import { isSameElement, type RecordedIdentity } from './elements.ts';
import { elementSchema } from './proposals.ts';
import type { Step } from './steps/index.ts';
import type { Workflow } from './workflow.ts';

/** What a step's element has become at one or more places, without saying whose they are. */
export interface GatheredProposal {
  readonly workflowId: string;
  readonly workflowVersion: number;
  readonly step: number;
  /** Of a result; absent: the step's own element. */
  readonly field?: string;
  readonly identity: RecordedIdentity;
  readonly locators: readonly Locator[];
  /** At how many addresses, and of how many customers, it was found like this. */
  readonly targets: number;
  readonly customers: number;
  /** For how many of these customers an admin marked it, to be taken into the workflow. */
  readonly marked: number;
  /** In how many runs a step went well with it. */
  readonly held: number;
}

/** What one run or one customer's place is called: a locator that says it finds nothing anywhere else. */
const OF_ONE_RUN = /\bop-[a-z0-9]{8}\b/;

/**
 * The proposals of all customers, the same ones counted together, those of most addresses first. Each customer's are read in
 * its own context, and nothing that names an address, a run or a customer comes out; what a customer's admin discarded counts as
 * nothing there. For an operator alone.
 */
export async function gatherProposals(
  { database, directory }: { readonly database: Database; readonly directory: Directory },
  workflowId?: string,
): Promise<readonly GatheredProposal[]> {
  const found = new Map<string, Tally>();
  for (const customerId of await directory.customers()) {
    const { rows, names } = await database.withCustomer(customerId, async (tx) => ({
      rows: await tx.workflowProposal.findMany({
        where: { customerId, discardedAt: null, ...(workflowId === undefined ? {} : { workflowId }) },
      }),
      names: await namesOf(tx, customerId),
    }));
    for (const row of rows) {
      const element = elementSchema.safeParse(row.element); // what an erased customer had is empty
      if (!element.success || isOfOnePlace(element.data, [...names, ...namesIn(row.target)])) continue;
      const key = [row.workflowId, row.workflowVersion, row.step, row.field, row.digest].join(' ');
      const none = { targets: new Set<string>(), customers: new Set<string>(), marked: new Set<string>(), held: 0 };
      const tally: Tally = found.get(key) ?? { row, element: element.data, ...none };
      tally.targets.add(row.target);
      tally.customers.add(customerId);
      if (row.markedAt) tally.marked.add(customerId);
      tally.held += row.held;
      found.set(key, tally);
    }
  }
  return [...found.values()].map(gathered).toSorted((a, b) => b.targets - a.targets || b.held - a.held);
}

interface Tally {
  readonly row: {
    readonly workflowId: string;
    readonly workflowVersion: number;
    readonly step: number;
    readonly field: string;
  };
  readonly element: z.infer<typeof elementSchema>;
  readonly targets: Set<string>;
  readonly customers: Set<string>;
  readonly marked: Set<string>;
  held: number;
}

function gathered({ row, element, targets, customers, marked, held }: Tally): GatheredProposal {
  const { workflowId, workflowVersion, step, field } = row;
  return {
    ...{ workflowId, workflowVersion, step, ...(field === '' ? {} : { field }) },
    ...{ identity: element.identity, locators: element.locators },
    ...{ targets: targets.size, customers: customers.size, marked: marked.size, held },
  };
}

/** Whether it names a run, a person, or one of these. What a plan would fill in is of one plan, too. */
function isOfOnePlace({ identity, locators }: z.infer<typeof elementSchema>, names: readonly string[]): boolean {
  const said = folded(JSON.stringify([identity.name ?? '', locators]));
  if (OF_ONE_RUN.test(said) || OF_A_PERSON.test(said) || OF_A_PLAN.test(said)) return true;
  const words = wordsOf(said);
  return names.some((name) => words.includes(wordsOf(name)));
}

const OF_A_PERSON = /[^\s"@]@[\p{L}\p{N}-]+\./u;
const OF_A_PLAN = /\{\w+\}/;

/** What the customer and its people are called. */
async function namesOf(tx: Transaction, customerId: CustomerId): Promise<readonly string[]> {
  const members = await tx.member.findMany({ where: { customerId }, select: { name: true } });
  const customer = await tx.customer.findUnique({ where: { customerId }, select: { name: true } });
  return [...members, ...(customer ? [customer] : [])].flatMap(({ name }) => (name.length < 3 ? [] : [name]));
}

const LEAST_TELLING = 6; // shorter parts are words such as `shop` and `store`

/** The site, as people write it, and a shop's own part of an address that shops share. */
function namesIn(target: string): readonly string[] {
  const { hostname, pathname } = new URL(target);
  const site = hostname.replace(/^www\./, '');
  const parts = [...site.split('.').slice(0, -1), ...pathname.split('/')];
  return [site, domainToUnicode(site), ...parts.filter(({ length }) => length >= LEAST_TELLING)];
}

function folded(text: string): string {
  return withoutHidden(text).normalize('NFKC').toLowerCase();
}

/** One after another, with a space around each. */
function wordsOf(text: string): string {
  return ` ${(folded(text).match(/[\p{L}\p{N}]+/gu) ?? []).join(' ')} `;
}

export interface Promotion {
  /** The workflow with what was promoted, in a version of its own. */
  readonly workflow: Workflow;
  readonly promoted: readonly GatheredProposal[];
  /** What a person has to do by hand, in words. */
  readonly left: readonly string[];
}

/**
 * Takes of each element's proposals the first into the workflow: its locators after those that were recorded, which go on being
 * tried first, and what it is beside what it was.
 */
export function promote(workflow: Workflow, proposals: readonly GatheredProposal[]): Promotion {
  const promoted: GatheredProposal[] = [];
  const left: string[] = [];
  const steps = workflow.steps.map((step) => {
    const own = proposals.filter((proposal) => proposal.step === step.order);
    const places = [...new Set(own.map(({ field }) => field))];
    return places.reduce((changed: Step, field) => {
      const [best] = own.filter((proposal) => proposal.field === field);
      const next = best ? withProposal(changed, best) : changed;
      if (typeof next === 'string') {
        left.push(`Step ${step.order}: ${next}`);
        return changed;
      }
      if (best && next !== changed) promoted.push(best);
      return next;
    }, step);
  });
  return { workflow: { ...workflow, version: workflow.version + 1, steps }, promoted, left };
}

/** The step with the proposal; itself where it knows all of that; or why it can't be taken. */
function withProposal(step: Step, { field, identity, locators }: GatheredProposal): Step | string {
  if (field !== undefined) {
    if (step.kind !== 'extract') return 'it brings back nothing any more.';
    const known = step.extract.fields[field];
    if (known === undefined) return `it has no field ${field} any more.`;
    const more = added(known.locators, locators);
    if (more === known.locators) return step;
    const fields = { ...step.extract.fields, [field]: { ...known, locators: [...more] } };
    return { ...step, extract: { ...step.extract, fields } };
  }
  if (!('locators' in step)) return 'it acts on no element any more.';
  if (step.bound !== undefined) return 'its element is told from others by what a plan says, so a person writes how.';
  const more = added(step.locators, locators);
  const isKnown = step.identities.some((one) => isSameElement(one, identity));
  if (more === step.locators && isKnown) return step;
  return { ...step, locators: [...more], identities: isKnown ? step.identities : [...step.identities, identity] };
}

function added(known: readonly Locator[], more: readonly Locator[]): readonly Locator[] {
  const keys = new Set(known.map((locator) => JSON.stringify(locator)));
  const fresh = more.filter((locator) => !keys.has(JSON.stringify(locator)));
  return fresh.length === 0 ? known : [...known, ...fresh];
}
