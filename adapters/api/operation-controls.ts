import { z } from 'zod';
import type { Answered, Cancelled, Paused, Resumed } from '../../core/operations/control.ts';
import { readCode } from '../../core/operations/questions.ts';
import { STATES } from '../../core/operations/states.ts';
import type { ApiWish, RetriedHere } from '../../core/ports/api.ts';
import { Secret } from '../../core/secret.ts';
import { type RouteDeps, statusPath, wishOf } from './deps.ts';
import { accepted, answerRefused, badField, ok, problem, tooSoon } from './replies.ts';
import { type ApiRoute, type Reply, route } from './route.ts';
import {
  operationId,
  operationParams,
  operationSchema,
  operationView,
  request,
  response,
  success,
  uuid,
} from './views.ts';

const changed = response('Changed', z.strictObject({ success, message: z.string(), operation: operationSchema }));
const answer = request(
  'QuestionAnswer',
  z.union([
    z.strictObject({
      questionId: uuid.describe(
        'As the status says it: what somebody else has answered meanwhile is not answered twice.',
      ),
      code: z.string().min(1).max(200).describe('The one-time code. It is typed into the page once, and said nowhere.'),
    }),
    z.strictObject({ questionId: uuid, goOn: z.literal(true).describe('A person has put the page right.') }),
  ]),
);
const retried = response(
  'Retried',
  z.strictObject({
    ...{ success, operationId, retryOf: operationId, status: z.enum(STATES), planHash: z.string() },
    ...{ message: z.string(), statusUrl: z.string() },
  }),
);

/** What is done with an operation that is there: by whoever may do it in chat. */
export function operationControls(deps: RouteDeps): readonly ApiRoute[] {
  const { control, desk } = deps;
  const controlRoute = <T extends Cancelled | Paused | Resumed>(
    verb: 'cancel' | 'pause' | 'resume',
    summary: string,
    change: (wish: ApiWish, operationId: string) => Promise<T>,
  ) =>
    route({
      ...{
        method: 'post',
        path: `/operations/:id/${verb}`,
        id: `${verb}Operation`,
        scope: 'operations:write',
        summary,
      },
      ...(verb === 'resume' ? {} : { isUnasked: true as const }),
      params: operationParams,
      answers: {
        [verb === 'cancel' ? 200 : 202]: { description: 'What became of it.', schema: changed },
      },
      problems: [403, 404, 409],
      async answer({ caller, params: { id }, event }) {
        const wish = await wishOf(deps, caller, event);
        const outcome = await change(wish, id);
        if ('operation' in outcome) await desk.show(outcome.operation);
        return answerChanged(outcome);
      },
    });

  return [
    controlRoute(
      'cancel',
      'Ends it in whatever state. A worker that runs it stops within two seconds.',
      (wish, operationId) => control.cancel(wish.customerId, { ...wish, operationId }),
    ),
    controlRoute('pause', 'Lets it rest at the next safe point.', (wish, operationId) =>
      control.pause(wish.customerId, { ...wish, operationId }),
    ),
    controlRoute('resume', 'Goes on with what was paused.', (wish, operationId) =>
      control.resume(wish.customerId, { ...wish, operationId }),
    ),
    route({
      ...{ method: 'post', path: '/operations/:id/answer', id: 'answerQuestion', scope: 'questions:answer' },
      summary: 'Answers what a run asks a person: a one-time code, or that it may go on.',
      description: 'The open question stands in the status, as `question`. The first answer counts, here or in chat.',
      params: operationParams,
      body: answer,
      answers: { 202: { description: 'It was taken, and the job is in the queue.', schema: changed } },
      problems: [403, 404, 409, 422],
      async answer({ caller, params: { id }, body, event }) {
        const wish = await wishOf(deps, caller, event);
        const read = 'code' in body ? readCode(body.code) : undefined;
        if (read && 'problem' in read) return { problem: badField('code', read.problem) };
        const given = read ? ({ kind: 'code', code: new Secret(read.code) } as const) : ({ kind: 'go_on' } as const);
        const asked = { operationId: id, questionId: body.questionId, answer: given };
        const outcome = await control.answer(wish.customerId, { ...wish, ...asked });
        if (outcome.kind === 'answered') await desk.show(outcome.operation);
        return answerAnswered(outcome);
      },
    }),
    route({
      ...{ method: 'post', path: '/operations/:id/retry', id: 'retryOperation', scope: 'operations:write' },
      summary: 'Asks for the same once more: a new operation, which nobody has countersigned.',
      params: operationParams,
      answers: { 202: { description: 'The new one.', schema: retried } },
      problems: [403, 404, 409, 429],
      async answer({ caller, params: { id }, event }) {
        return answerRetried(await desk.retry(await wishOf(deps, caller, event), id), id);
      },
    }),
  ];
}

function answerChanged(outcome: Cancelled | Paused | Resumed): Reply {
  switch (outcome.kind) {
    case 'cancelled':
      return ok({ success: true, message: 'It was cancelled.', operation: operationView(outcome.operation) });
    case 'paused':
      return accepted({ success: true, message: 'It is paused.', operation: operationView(outcome.operation) });
    case 'pausing':
      return accepted({
        success: true,
        message: 'It pauses as soon as what it makes is kept.',
        operation: operationView(outcome.operation),
      });
    case 'resumed':
      return accepted({
        success: true,
        message: 'It is in the queue again.',
        operation: operationView(outcome.operation),
      });
    case 'not_running':
      return problem(
        409,
        'not_possible_now',
        `It is ${outcome.operation.state}: nothing runs that could pause.`,
        outcome.operation,
      );
    case 'not_paused':
      return problem(409, 'not_possible_now', `It is ${outcome.operation.state}, and not paused.`, outcome.operation);
    case 'lapsed':
      return problem(
        409,
        'not_possible_now',
        'Its countersignature does not hold any more. It can be tried again.',
        outcome.operation,
      );
    case 'held':
      return problem(409, 'not_possible_now', 'The operator holds it back.');
    case 'over':
      return problem(409, 'not_possible_now', 'It is over already. Nothing was changed.');
    default:
      return answerRefused(outcome.kind);
  }
}

function answerAnswered(outcome: Answered): Reply {
  switch (outcome.kind) {
    case 'answered':
      return accepted({ success: true, message: 'It goes on.', operation: operationView(outcome.operation) });
    case 'not_asked':
      return problem(
        409,
        'not_possible_now',
        'It does not ask this, or not any more: read its status. Nothing was kept.',
        outcome.operation,
      );
    case 'asks_other': {
      const wanted = outcome.wants === 'code' ? 'a code' : 'that a person has put the page right (goOn)';
      return { problem: badField(outcome.wants === 'code' ? 'code' : 'goOn', `It asks for ${wanted}.`) };
    }
    case 'lapsed':
      return problem(409, 'not_possible_now', 'Its countersignature does not hold any more.', outcome.operation);
    default:
      return answerRefused(outcome.kind);
  }
}

function answerRetried(outcome: RetriedHere, of: string): Reply {
  switch (outcome.kind) {
    case 'requested': {
      const { id, state, planHash } = outcome.operation;
      return accepted({
        ...{ success: true, operationId: id, retryOf: of, status: state, planHash },
        ...{ message: 'Consent required before operation can proceed', statusUrl: statusPath(id) },
      });
    }
    case 'already':
      return problem(
        409,
        'not_possible_now',
        `It is tried again already, as ${outcome.operation.id}.`,
        outcome.operation,
      );
    case 'not_retryable':
      return problem(
        409,
        'not_possible_now',
        `It is ${outcome.operation.state}, which is not tried again.`,
        outcome.operation,
      );
    case 'unreachable':
      return problem(409, 'not_possible_now', 'Its address can not be reached from here.', outcome.operation);
    case 'closed':
      return problem(
        403,
        'not_offered',
        'An admin does not let it be done any more, or its key is gone.',
        outcome.operation,
      );
    case 'too_soon':
      return tooSoon(outcome.why, outcome.limit.at);
    default:
      return answerRefused(outcome.kind);
  }
}
