import type { Member } from '../../core/customers/customers.ts';
import type { Digest } from '../../core/notices/digest.ts';
import type { Operation } from '../../core/operations/operation.ts';
import type { Block, Card, PictureLink, RichText, Span, ThreadRef } from '../../core/ports/chat.ts';
import type { Service } from '../../core/services/service.ts';
import { type Episode, type Rate, rateOf } from '../../core/workflow/watch.ts';
import type { Workflow } from '../../core/workflow/workflow.ts';
import { stateWords } from './audit-card.ts';
import { connectionWords } from './connection-card.ts';
import { bold, code, person, place, text } from './text.ts';

/** Where the thread is that a notice is about; `url`: how it is opened, where it has an address. */
export interface NoticeThread {
  readonly ref: ThreadRef;
  readonly url: string | undefined;
}

const day = (at: Date): Span => ({ kind: 'time', at, form: 'datetime' });

/** Sent directly to whoever asked and wants it so: that it is over, or that it waits for them. The thread says the rest. */
export function operationNotice(
  operation: Operation,
  kind: 'result' | 'waiting',
  thread: NoticeThread | undefined,
): Card {
  const { type, plan, state, id } = operation;
  const what = `${type.title} for ${place(plan.base)}`;
  const how = kind === 'waiting' ? 'waits for you' : stateWords(state);
  return {
    summary: `${what}: ${how}`,
    blocks: [{ kind: 'text', text: [bold(what), text(`: ${how}. `), code(id), ...threadLink(thread)] }],
  };
}

function threadLink(thread: NoticeThread | undefined): RichText {
  if (thread?.url === undefined) return thread === undefined ? [] : [text(' · see its thread')];
  return [text(' · '), { kind: 'link', text: 'its thread', url: thread.url }];
}

/** What a consent is for, in the words that people know. */
export interface ConsentWords {
  readonly consent: {
    readonly id: string;
    readonly target: string;
    readonly templateHash: string | null;
    readonly expiresAt: Date | null;
  };
  readonly service: string;
  readonly granter: Member;
}

/** Asks whoever countersigned, before it lapses. Renew asks once more; it gives nothing. */
export function lapsingNotice({ consent, service, granter }: ConsentWords, thread: ThreadRef | undefined): Card {
  const { id, target, expiresAt } = consent;
  const what = `${whatOf(consent)} for ${service} at ${place(target)}`;
  const buttons: Block[] = [
    {
      kind: 'actions',
      buttons: [{ label: 'Renew', style: 'primary', action: 'renew_consent', value: id }],
      ...(thread ? { thread } : {}),
    },
  ];
  return {
    summary: `${what} is about to lapse`,
    blocks: [
      {
        kind: 'text',
        text: [
          person(granter.person),
          text(`, ${what.replace(/^The/, 'the')} lapses `),
          ...(expiresAt ? [day(expiresAt)] : []),
          text('. You countersigned it.'),
        ],
      },
      {
        ...{ kind: 'text', tone: 'quiet' },
        text: [
          text(
            'Renew posts the same question in its thread, and whoever may approve countersigns it there. Until then nothing is prolonged; do nothing, and it ends by itself.',
          ),
        ],
      },
      ...(consent.templateHash === null ? [] : buttons),
    ],
  };
}

/** Tells an admin of a consent whose countersigner may no longer approve, or has left. */
export function unsupportedNotice({ consent, service, granter }: ConsentWords): Card {
  const what = `${whatOf(consent)} for ${service} at ${place(consent.target)}`;
  return {
    summary: `${what} has lost its countersigner`,
    blocks: [
      {
        kind: 'text',
        tone: 'warning',
        text: [
          text(`${what} was countersigned by `),
          person(granter.person),
          text(
            ', who may no longer approve, or has left. Nothing runs by it as long as that is so. Have it asked for again, or take it back: ',
          ),
          code('/countersign consents'),
          text(' lists it.'),
        ],
      },
    ],
  };
}

function whatOf({ templateHash }: Pick<ConsentWords['consent'], 'templateHash'>): string {
  return templateHash === null ? 'The consent' : 'The consent to repairs';
}

export interface FailingStep {
  readonly episode: Episode;
  /** `undefined`: this version of the workflow is gone. */
  readonly workflow: Workflow | undefined;
  /** As it looked when it last went well, and when it last failed. */
  readonly before: PictureLink | undefined;
  readonly now: PictureLink | undefined;
}

/** Tells an admin that a step fails more often than it used to, with a picture of then and one of now; and when that is over. */
export function failingNotice({ episode, workflow, before, now }: FailingStep): Card {
  const { workflowId, step, recent, closedAt } = episode;
  const intent = workflow?.steps.find(({ order }) => order === step)?.intent ?? `step ${step}`;
  const name = workflow?.name ?? workflowId;
  const what = `“${intent.replaceAll(/[{}]/g, '')}” of “${name}”`;
  if (closedAt !== null)
    return {
      summary: `A step goes well again: ${what}`,
      blocks: [
        {
          kind: 'text',
          text: [
            text(`Step ${step}, ${what}, goes well again, or is not used any more. It had failed more often since `),
            day(episode.openedAt),
            text('.'),
          ],
        },
      ],
    };
  const words = `Step ${step}, ${what}, went well in ${percent(recent)} of ${recent.all} tries in the last 7 days, and in ${percent(episode.before)} of ${episode.before.all} in the 30 days before. The page may have changed.`;
  return {
    summary: `A step fails more often: ${what}`,
    blocks: [
      { kind: 'heading', text: [text('A step fails more often')] },
      { kind: 'text', text: [text(words)] },
      ...shown('When it last went well', before, episode.oldPicture?.at),
      ...shown('When it last failed', now, episode.newPicture?.at),
      {
        ...{ kind: 'text', tone: 'quiet' },
        text: [
          ...(before && now ? [text('The console shows both pictures beside each other, under Workflows. ')] : []),
          text('This is told once.'),
        ],
      },
    ],
  };
}

function shown(words: string, picture: PictureLink | undefined, at: Date | undefined): readonly Block[] {
  if (!picture || !at) return [];
  return [
    { kind: 'text', text: [bold(words), text(', '), day(at)] },
    { kind: 'pictures', items: [picture] },
  ];
}

function percent(rate: Rate): string {
  return `${Math.round(100 * rateOf(rate))} %`;
}

const LISTED = 5;

/** A week, for admins: what was done, and what asks for somebody soon. */
export function digestCard(digest: Digest, services: readonly Service[]): Card {
  const { completed, failed, keysMade, keysRotated, modelUsd, unhealthy, expiring, lapsing, from, to } = digest;
  const rows: { label: string; value: RichText }[] = [
    { label: 'Done', value: [text(`${completed}${failed > 0 ? `, and ${failed} failed` : ''}`)] },
    { label: 'Keys', value: [text(`${keysMade} made, ${keysRotated} rotated`)] },
    ...(modelUsd > 0 ? [{ label: 'Model', value: [text(`$${modelUsd.toFixed(2)}`)] }] : []),
  ];
  const name = (id: string) => services.find((service) => service.id === id)?.name ?? id;
  const listed = (title: string, all: readonly { service: string; target: string; detail: string }[]): Block[] =>
    all.length === 0
      ? []
      : [
          { kind: 'text', text: [bold(title)] },
          {
            kind: 'list',
            items: all.slice(0, LISTED).map(({ service, target, detail }) => ({
              text: [text(target === '' ? name(service) : `${name(service)} at ${place(target)}`)],
              detail,
            })),
          },
          ...(all.length > LISTED
            ? [{ kind: 'text', tone: 'quiet', text: [text(`And ${all.length - LISTED} more.`)] } satisfies Block]
            : []),
        ];
  const inDays = (at: Date) => {
    const days = Math.ceil((at.getTime() - to.getTime()) / 86_400_000);
    return days <= 1 ? 'within a day' : `in ${days} days`;
  };
  const ends = (all: Digest['expiring']) => all.map((each) => ({ ...each, detail: inDays(each.at) }));
  return {
    summary: `Your week: ${completed} done, ${failed} failed`,
    blocks: [
      { kind: 'heading', text: [text('Your week with Countersign')] },
      { kind: 'text', tone: 'quiet', text: [text('From '), day(from), text(' to '), day(to)] },
      { kind: 'facts', rows },
      ...listed(
        'Connections that are not well',
        unhealthy.map((each) => ({ ...each, detail: connectionWords(each.state) })),
      ),
      ...listed('Keys that expire', ends(expiring)),
      ...listed('Consents that lapse', ends(lapsing)),
      {
        ...{ kind: 'text', tone: 'quiet' },
        text: [text('Every Monday; an admin switches it off in '), code('/countersign settings'), text('.')],
      },
    ],
  };
}

/** Several notices as one message: what came while somebody did not want to be disturbed. */
export function togetherNotice(cards: readonly Card[]): Card {
  const [only, second] = cards;
  if (only && !second) return only;
  return {
    summary: `${cards.length} messages: ${cards.map(({ summary }) => summary).join(' · ')}`,
    blocks: [
      { kind: 'heading', text: [text(`${cards.length} messages for you`)] },
      ...cards.flatMap(({ blocks }) => blocks),
    ],
  };
}
