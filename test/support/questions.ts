import { handOver } from '../../core/operations/hand-over.ts';
import { takeLease } from '../../core/operations/lease.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { latestQuestion, type Question, type QuestionKind } from '../../core/operations/questions.ts';
import type { Browser, BrowserSession } from '../../core/ports/browser.ts';
import { Secret } from '../../core/secret.ts';
import { type Core, noSecrets } from './core.ts';

const SIGN_IN_STEP = 4;
/** A browser that is signed in: all that a hand-over asks of it. */
const session = {
  storage: async () => new Secret('{"cookies":[],"origins":[]}'),
  waitFor: async () => undefined,
  close: async () => {},
} as Pick<BrowserSession, 'storage' | 'waitFor' | 'close'> as BrowserSession;
const browser: Browser = { open: async () => session, close: async () => {} };

/** A worker takes the queued operation, and hands it over to a person with this question. */
export async function askAbout(
  core: Core,
  { customerId, id }: Pick<Operation, 'customerId' | 'id'>,
  question: QuestionKind,
): Promise<Question> {
  const lease = await takeLease(core, { customerId, operationId: id }, new AbortController().signal);
  lease?.release();
  if (!lease) throw new Error('somebody else has it');
  const workflow = core.workflows.getDefinition(lease.operation.plan.workflowId);
  const asked = { step: SIGN_IN_STEP, question, words: 'The page asks for something.' };
  await handOver({ ...core, browser }, lease, workflow, asked, session, noSecrets);
  const found = await core.database.withCustomer(customerId, (tx) => latestQuestion(tx, customerId, id));
  if (!found) throw new Error('nothing was asked');
  return found;
}
