import { type ConnectionView, connectionsOf as healthOf } from '../../../core/connections/records.ts';
import { listConsents } from '../../../core/consent/records.ts';
import { type Html, html } from '../../../core/markup.ts';
import { isEnd, parseState } from '../../../core/operations/states.ts';
import { form, heading, link, livePart, liveView, nothingYet, older } from '../layout.ts';
import type { Call, ConsoleRoute } from '../routes.ts';
import { chip, healthBadge, place, time } from '../words.ts';

/** Each line has two forms. */
const SHOWN = 50;

interface Connection {
  readonly service: string;
  readonly target: string;
  readonly label: string | undefined;
  readonly lastFour: string | undefined;
  readonly storedAt: Date;
  readonly isDue: boolean;
  readonly madeBy: string | undefined;
  readonly health: ConnectionView | undefined;
  readonly expiresAt: Date | null;
  /** An operation about this key is under way. */
  readonly isChanging: boolean;
  readonly repairs: Repairs | undefined;
}

/** A standing grant: the key is replaced under it without asking again. */
interface Repairs {
  readonly consentId: string;
  readonly operationId: string;
  readonly by: string;
  readonly until: Date | null;
  /** Types of the sign-in secrets that are kept sealed for them. */
  readonly keeps: readonly string[];
  /** All of that was entered. */
  readonly isReady: boolean;
}

export const connectionRoutes: readonly ConsoleRoute[] = [
  {
    method: 'get',
    path: '/connections',
    role: 'admin',
    async answer(call) {
      const sub =
        'Keys in the vault: what they are for, never what they say. Each is tried at its service several times a day. Rotate and Revoke ask for a countersignature first.';
      const source = link('/console/connections/live', { after: call.query.after });
      const body = html`${heading('Connections', sub)}${livePart(source, await listed(call))}`;
      return { kind: 'page', title: 'Connections', nav: 'connections', body };
    },
  },
  {
    method: 'get',
    path: '/connections/live',
    role: 'admin',
    isByItself: true,
    answer: async (call) => ({ kind: 'part', body: await listed(call) }),
  },
];

function healthCell({ health, expiresAt }: Connection): Html {
  if (!health) return html`<span class="quiet">not looked at</span>`;
  const { state, reason, since, checkedAt } = health;
  const looked = checkedAt ? html`looked at ${time(checkedAt, 'ago')}` : 'not looked at yet';
  const ends = expiresAt && html`<span class="quiet">ends ${time(expiresAt)}</span>`;
  if (state === 'healthy' || checkedAt === null)
    return html`${healthBadge(checkedAt === null ? 'new' : state)}<span class="quiet">${looked}</span>${ends}`;
  return html`${healthBadge(state)}<span class="why">${reason}</span><span class="quiet">since ${time(since)}, ${looked}</span>${ends}`;
}

/** By whose word it is kept working, until when, what is kept for that, and the way to take it back. */
function repairsCell(call: Call, { repairs, target }: Connection, name: string): Html {
  if (!repairs) return html`<span class="quiet">asked for each time</span>`;
  const { consentId, operationId, by, until, keeps, isReady } = repairs;
  const of = target === '' ? name : `${name} at ${place(target)}`;
  const kept = keeps.length === 0 ? 'keeps no sign-in' : 'keeps the sign-in for them, sealed';
  const revoke = form(
    call,
    `/console/operations/${operationId}/revoke-repairs`,
    html`<p class="quiet">The key itself stays. No repair begins any more${keeps.length > 0 && ', and what is kept for them is deleted'}.</p><button class="button small danger">End them<span class="unseen">, the repairs of ${of}</span></button>`,
    { from: 'connections', consent: consentId },
  );
  return html`${isReady ? html`<span class="badge good">by itself</span>` : html`<span class="badge waits">waits for the sign-in</span>`}<span class="quiet">${until && html`until ${time(until)}, `}by ${by}; ${kept}</span><details><summary class="button small danger">End repairs…<span class="unseen"> of ${of}</span></summary>${revoke}</details>`;
}

async function listed(call: Call): Promise<Html> {
  const connections = await connectionsOf(call);
  const { after } = call.query;
  const from = /^\d{1,6}$/.test(after ?? '') ? Number(after) : 0;
  const next = connections.length > from + SHOWN ? String(from + SHOWN) : undefined;
  const rows = connections.slice(from, from + SHOWN).map((each) => {
    const name = call.deps.services.find(({ id }) => id === each.service)?.name ?? each.service;
    const { madeBy } = each;
    const change = (kind: string, label: string, tone: string) =>
      form(
        call,
        `/console/operations/${madeBy ?? ''}/${kind}`,
        html`<button class="button small ${tone}">${label}<span class="unseen"> ${name} at ${place(each.target)}</span></button>`,
        { from: 'connections' },
      );
    const actions = each.isChanging
      ? html`<span class="quiet">a request is open</span>`
      : madeBy &&
        html`<div class="actions">${change('rotate', 'Rotate', '')}${change('revoke', 'Revoke', 'danger')}</div>`;
    return html`<tr><td class="what">${madeBy ? html`<a href="/console/operations/${madeBy}">${name}</a>` : name}<span class="quiet">${each.target === '' ? 'the account' : place(each.target)}</span></td><td data-label="Key">${each.lastFour ? html`<code>…${each.lastFour}</code>` : html`<span class="quiet">not shown</span>`}</td><td data-label="Called">${each.label ?? '–'}</td><td data-label="Stored">${time(each.storedAt, 'ago')}${each.isDue && html` <span class="badge waits">rotate</span>`}</td><td class="health" data-label="Health"><div>${healthCell(each)}</div></td><td class="repairs" data-label="Repairs"><div>${repairsCell(call, each, name)}</div></td><td>${actions}</td></tr>`;
  });
  const list =
    rows.length === 0
      ? nothingYet(
          'No key is stored',
          html`Once a set-up is completed, its key stands here. Write ${chip(`set up ${call.deps.services[0]?.name ?? 'WooCommerce'} for shop.example.com`)} in chat.`,
        )
      : html`<div class="panel list-panel"><table class="stacked"><caption class="unseen">Stored keys, newest first</caption><thead><tr><th scope="col">Service</th><th scope="col">Key</th><th scope="col">Called</th><th scope="col">Stored</th><th scope="col">Health</th><th scope="col">Repairs</th><th scope="col"><span class="unseen">Change</span></th></tr></thead><tbody>${rows}</tbody></table></div>${older('/console/connections', { after }, next)}`;
  return liveView(list);
}

/** Newest first. Sign-ins, which go with their operation, are none. */
async function connectionsOf({ deps, customerId, read }: Call): Promise<readonly Connection[]> {
  const stored = (await deps.vault.list(customerId))
    .filter(({ operationId, credentialType }) => operationId === null && credentialType !== 'oauth_token')
    .toSorted((one, other) => other.createdAt.getTime() - one.createdAt.getTime());
  return read(async (tx) => {
    const targets = [...new Set(stored.map(({ target }) => target))];
    const about = await tx.operation.findMany({
      where: { customerId, target: { in: targets } },
      select: { service: true, target: true, status: true },
    });
    const health = await healthOf(tx, customerId);
    const standing = (await listConsents(tx, customerId, { activeOnly: true })).filter((consent) => consent.standing);
    const members = standing.length > 0 ? await deps.customers.members(tx, customerId) : [];
    const kept = await tx.credential.findMany({
      where: { customerId, operationId: { in: standing.map(({ operationId }) => operationId) } },
      select: { operationId: true, credentialType: true },
    });
    const repairsOf = (service: string, target: string): Repairs | undefined => {
      const consent = standing.find((each) => each.service === service && each.target === target);
      if (!consent) return undefined;
      const { id: consentId, operationId, userId, expiresAt: until } = consent;
      const keeps = consent.standing?.keeps ?? [];
      const isKept = (type: string) =>
        kept.some((each) => each.operationId === operationId && each.credentialType === type);
      return {
        ...{ consentId, operationId, until, isReady: keeps.every(isKept) },
        by: members.find(({ id }) => id === userId)?.person.name ?? 'somebody',
        keeps,
      };
    };
    return stored.map(({ id, service, target, metadata, createdAt, lastRotatedAt, rotationRequired, expiresAt }) => {
      const theirs = about.filter((each) => each.service === service && each.target === target);
      return {
        ...{ service, target, label: metadata.label, lastFour: metadata.lastFour },
        ...{ storedAt: lastRotatedAt ?? createdAt, isDue: rotationRequired, madeBy: metadata.operationId },
        health: health.find(({ credential }) => credential.id === id),
        expiresAt,
        repairs: repairsOf(service, target),
        isChanging: theirs.some(({ status }) => !isEnd(parseState(status))),
      };
    });
  });
}
