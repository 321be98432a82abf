import { GONE_WORDS } from '../../../core/audit/entry.ts';
import type { ConsentStep, StepRun } from '../../../core/console/run.ts';
import { type Html, html } from '../../../core/markup.ts';
import { isRetryable, mayControl } from '../../../core/operations/control.ts';
import { machineMsAt } from '../../../core/operations/execution.ts';
import type { Operation } from '../../../core/operations/operation.ts';
import { isEnd } from '../../../core/operations/states.ts';
import { drawCard } from '../cards.ts';
import { form, livePart, tiles } from '../layout.ts';
import { type Call, hasRole } from '../routes.ts';
import { badge, chip, counted, duration, hashChip, number, place, time } from '../words.ts';
import type { Seen } from './operation.ts';

/** The whole page: what changes while the operation runs, and what its script needs to follow it. */
export function operationBody(call: Call, seen: Seen): Html {
  const { id } = seen.operation;
  const step = chosen(call);
  const source = `/console/operations/${id}/live`;
  return livePart(source, operationView(call, seen), { step });
}

function chosen({ query }: Call): number | undefined {
  return /^\d{1,3}$/.test(query.step ?? '') ? Number(query.step) : undefined;
}

/** Everything that may change; asked for again and again until it is over. */
export function operationView(call: Call, seen: Seen): Html {
  const { operation } = seen;
  const { steps } = operation;
  const wanted = chosen(call);
  // Of one that runs, too, the newest picture says most.
  const shown =
    steps.find(({ number: n }) => n === wanted) ??
    steps.findLast(({ screenshotId }) => screenshotId !== null) ??
    steps.find(({ state }) => state === 'running') ??
    steps[0];
  return html`<div class="view" data-state="${isEnd(operation.state) ? 'over' : 'open'}">
${head(call, seen)}
${figures(seen)}
<div class="columns"><section class="panel timeline" aria-label="Steps">${timeline(call, seen, shown?.number)}</section>${shown && html`<section class="panel" aria-label="Step ${shown.number}" data-shown>${stepPanel(seen, shown)}</section>`}</div>
<div class="columns"><section class="panel">${plan(seen)}</section><section class="panel">${countersignatures(seen)}</section></div>
${trail(seen)}
</div>`;
}

function head(call: Call, { operation }: Seen): Html {
  const { type, id, state, plan, requester, grant, planHash, retryOf, retriedAs } = operation;
  const path = `/console/operations/${id}`;
  const again = (words: string, other: string) =>
    html` · ${words} <a href="/console/operations/${other}">${chip(other)}</a>`;
  return html`<div class="heading"><div><h1>${type.title} ${chip(id)} ${badge(state)}</h1>
<p class="quiet">${place(plan.base)} · asked by ${requester.person.name}${grant && html` · countersigned by ${grant.approver.person.name} ${time(grant.grantedAt, 'time')}`} · plan ${hashChip(planHash)}${retryOf && again('tries again', retryOf)}${retriedAs && again('tried again as', retriedAs)}</p></div>${buttons(call, operation, path)}</div>${outcome(operation)}`;
}

function buttons(call: Call, operation: Operation, path: string): Html {
  if (!mayControl(operation, call.member)) return html``;
  const { state, hold } = operation;
  const one = (kind: string, label: string, tone = '') =>
    form(call, `${path}/${kind}`, html`<button class="button ${tone}" data-key="${kind}">${label}</button>`);
  const isRunning = (state === 'queued' || state === 'in_progress') && hold === null;
  const all = [
    ...(state === 'awaiting_consent' && hasRole(call.member, 'approver')
      ? [html`<a class="button primary" href="/console/approvals#${operation.id}">Decide</a>`]
      : []),
    ...(state === 'paused' ? [one('resume', 'Resume', 'primary')] : []),
    ...(isRunning ? [one('pause', 'Pause')] : []),
    ...(isEnd(state) ? [] : [one('stop', state === 'awaiting_consent' ? 'Withdraw' : 'Stop', 'danger')]),
    ...(isRetryable(operation) && operation.retriedAs === null ? [one('retry', 'Try again')] : []),
    ...(operation.isKeyStored ? [one('rotate', 'Rotate the key'), one('revoke', 'Revoke the key', 'danger')] : []),
  ];
  return all.length === 0 ? html`` : html`<div class="actions">${all}</div>`;
}

/** What came of it, in a sentence. */
function outcome({ state, errorMessage, errorCode, result, way }: Operation): Html {
  if (state === 'completed' && result?.success) {
    const { lastFour, checked, label, revokedAt, replacedBy } = result.data;
    const key = lastFour === null ? html`“${label}”` : html`…${lastFour}, “${label}”`;
    const now = revokedAt ? ', revoked since' : replacedBy ? ', replaced since' : ', in the vault';
    return html`<p class="signature granted">${key}${now}. ${checked}</p>`;
  }
  if (state === 'awaiting_credentials')
    return html`<p class="signature neutral">Waiting for the ${way.kind === 'browser' ? 'sign-in' : 'key'}: whoever asked has a one-time page in chat.</p>`;
  if (state === 'waiting_for_human')
    return html`<p class="signature neutral">It has a question. It is answered in the thread, where the picture is, too.</p>`;
  if (!errorMessage) return html``;
  return html`<p class="signature refused">${errorMessage}${errorCode && html` ${chip(errorCode)}`}</p>`;
}

function figures({ operation, run, at, entries }: Seen): Html {
  const done = operation.steps.filter(({ state }) => state === 'done').length;
  const ms = machineMsAt(operation.execution, at);
  const { input, output } = run.tokens;
  const model =
    run.modelCalls === 0
      ? '0'
      : html`${number(run.modelCalls)} <small>${number(input)} in, ${number(output)} out</small>`;
  const chain = html`<span id="chain" data-chain="/console/operations/${operation.id}/chain" data-upto="${String(entries?.at(-1)?.seq ?? '')}">not checked yet</span>`;
  return tiles([
    { label: 'Duration', value: ms === 0 ? '–' : duration(ms) },
    { label: 'Steps', value: `${done} of ${operation.steps.length}` },
    { label: 'Model calls', value: model },
    entries
      ? { label: 'Chain, checked in this browser', value: chain }
      : { label: 'Asked', value: time(operation.createdAt, 'ago') },
  ]);
}

type Standing = 'done' | 'failed' | 'running' | 'begun' | 'waiting' | 'skipped';

const STEP_WORDS: { readonly [S in Standing]: string } = {
  ...{ done: 'done', failed: 'failed', running: 'now', waiting: 'waiting' },
  begun: 'begun, not finished',
  skipped: 'not done',
};

/**
 * Where a step stands, seen together with its operation: a row says `running` until its end is on record, which never comes where the
 * operation was paused or stopped within it, and comes a moment after the next one began.
 */
function standingOf(
  { state, steps }: Pick<Operation, 'state'> & { readonly steps: readonly { number: number; state: string }[] },
  step: { readonly number: number; readonly state: string },
): Standing {
  if (step.state === 'done' || step.state === 'failed') return step.state;
  if (step.state !== 'running') return isEnd(state) ? 'skipped' : 'waiting';
  const isNewest = steps.findLast((each) => each.state === 'running')?.number === step.number;
  return state === 'in_progress' && isNewest ? 'running' : 'begun';
}

function timeline({ params }: Call, { operation, run }: Seen, shown: number | undefined): Html {
  const longest = Math.max(1, ...operation.steps.map(({ durationMs }) => durationMs ?? 0));
  const rows = operation.steps.map((step) => {
    const found = lastRun(run.steps, step.number);
    const width = step.durationMs === null ? 0 : Math.max(3, Math.round((98 * step.durationMs) / longest));
    const standing = standingOf(operation, step);
    return html`<tr class="${standing}"${step.number === shown && html` aria-current="step"`}><td class="right">${step.number}</td><td><a href="/console/operations/${params.id ?? ''}?step=${step.number}" data-step="${String(step.number)}" data-key="step-${step.number}">${step.intent}</a><span class="unseen"> (${STEP_WORDS[standing]})</span></td><td class="found">${foundBy(step.state, found)}</td><td class="bar"><svg width="100" height="8" aria-hidden="true" focusable="false"><rect width="${width}" height="8" rx="4"/></svg></td><td class="right">${step.durationMs === null ? (standing === 'running' ? '…' : '–') : number(step.durationMs)}</td></tr>`;
  });
  return html`<table class="steps"><caption class="unseen">Steps, in order</caption><thead><tr><th scope="col" class="right">#</th><th scope="col">Step</th><th scope="col">Found by</th><th scope="col"><span class="unseen">Share of time</span></th><th scope="col" class="right">ms</th></tr></thead><tbody>${rows}</tbody></table>`;
}

function lastRun(runs: readonly StepRun[], step: number): StepRun | undefined {
  return runs.findLast((each) => each.step === step);
}

function foundBy(state: string, run: StepRun | undefined): string {
  if (state === 'failed') return 'failed';
  if (!run?.rung || run.rung === 'none') return '–';
  return run.score === undefined ? run.rung : `${run.rung} ${run.score.toFixed(2)}`;
}

function stepPanel({ operation, run, entries }: Seen, step: Operation['steps'][number]): Html {
  const planned = operation.plan.steps.find(({ order }) => order === step.number);
  const found = lastRun(run.steps, step.number);
  const src = step.screenshotId && `/console/operations/${operation.id}/pictures/${step.screenshotId}`;
  const picture = src
    ? html`<figure><a class="picture-link" href="${src}"><img src="${src}" alt="Step ${step.number}: ${step.intent}, as the page looked; secrets are masked"></a><figcaption>Secrets were masked before it was stored.</figcaption></figure>`
    : html`<div class="no-picture"><p>${noPicture(standingOf(operation, step))}</p></div>`;
  const words = entries?.find(({ seq }) => seq === found?.seq)?.payload;
  const error = typeof words?.error === 'string' ? words.error : undefined;
  return html`${picture}<dl class="facts"><div><dt>Intent</dt><dd>${step.intent}</dd></div>${planned && html`<div><dt>Permission</dt><dd>${planned.permission}</dd></div>`}<div><dt>Found by</dt><dd>${foundBy(step.state, found)}</dd></div>${step.note !== null && html`<div><dt>Note</dt><dd>${step.note}</dd></div>`}${error !== undefined && error !== step.note && html`<div><dt>Error</dt><dd>${error}</dd></div>`}${found?.tokens && html`<div><dt>Tokens</dt><dd>${number(found.tokens.input)} in, ${number(found.tokens.output)} out</dd></div>`}${step.finishedAt && html`<div><dt>Finished</dt><dd>${time(step.finishedAt, 'time')}</dd></div>`}${found && html`<div><dt>Entry</dt><dd>${chip(`#${found.seq} · ${found.hash.slice(0, 8)}`)}</dd></div>`}</dl>`;
}

function noPicture(standing: Standing): string {
  if (standing === 'waiting') return 'This step has not begun.';
  if (standing === 'skipped') return 'This step was not done.';
  if (standing === 'begun') return 'This step was begun and is not finished.';
  return standing === 'running' ? 'This step is being done now.' : 'There is no picture of this step.';
}

function plan({ operation, question }: Seen): Html {
  const { planHash, plan: asked } = operation;
  return html`<h2>The plan, as it was shown</h2>${drawCard(withoutHead(question), 3)}<dl class="facts"><div><dt>SHA-256</dt><dd><code class="whole">${planHash}</code></dd></div><div><dt>Workflow</dt><dd>${asked.workflowId}, version ${asked.workflowVersion}</dd></div><div><dt>May run until</dt><dd>${time(new Date(asked.runsUntil))}: no countersignature of this plan holds longer, extended or not</dd></div></dl>`;
}

/** Title and provenance stand above already. */
function withoutHead(card: Seen['question']): Seen['question'] {
  return {
    ...card,
    blocks: card.blocks.filter(({ kind }, index) => kind !== 'heading' && kind !== 'signature' && index !== 1),
  };
}

const CONSENT_WORDS: Readonly<Record<string, string>> = {
  requested: 'Asked',
  reminded: 'Reminded',
  approved: 'Approved',
  granted: 'Countersigned',
  refused: 'Refused to decide',
  denied: 'Denied',
  expired: 'Expired',
  cancelled: 'Withdrawn',
  revoked: 'Revoked',
  extended: 'Extended',
  superseded: 'Replaced by a new plan',
};
const METHOD_WORDS: Readonly<Record<string, string>> = {
  web: 'in web chat',
  slack_button: 'in Slack',
  teams_card: 'in Teams',
  api: 'by the API',
  console: 'in the console',
};

function countersignatures({ run, operation }: Seen): Html {
  const { grant } = operation;
  const rows = run.consent.map(
    (each) => html`<li><span>${consentWords(each)}</span><span class="detail">${time(each.at)}</span></li>`,
  );
  return html`<h2>Countersignatures</h2>${rows.length > 0 ? html`<ul class="list" role="list">${rows}</ul>` : html`<p class="quiet">Nobody was asked yet.</p>`}${grant?.expiresAt && html`<dl class="facts"><div><dt>Holds until</dt><dd>${time(grant.expiresAt)}: nothing is done under it after that, unless it is extended</dd></div></dl>`}`;
}

const REPAIR_WORDS: Readonly<Record<string, string>> = {
  requested: 'Asked to keep it working',
  approved: 'Repairs to come approved',
  granted: 'Repairs to come countersigned',
  refused: 'Refused to decide on repairs to come',
  denied: 'Repairs to come denied',
  expired: 'Question for repairs to come expired',
  cancelled: 'Question for repairs to come withdrawn',
  revoked: 'Repairs to come revoked',
};

function consentWords({ kind, by, method, basis, planHash, isForRepairs, isRenewal }: ConsentStep): Html {
  // Whoever pressed only brought it to light.
  if (isRenewal)
    return html`<b>${kind === 'requested' ? 'Asked again' : 'New plan'}</b>, because what is stored had changed · plan ${hashChip(planHash)}`;
  const what = (isForRepairs ? REPAIR_WORDS[kind] : undefined) ?? CONSENT_WORDS[kind] ?? kind;
  return html`<b>${what}</b>${by !== undefined && html` by ${by}`}${method !== undefined && html` ${METHOD_WORDS[method] ?? method}`}${basis !== undefined && html`, as ${basis}`} · ${isForRepairs ? 'terms' : 'plan'} ${hashChip(planHash)}`;
}

function trail({ entries, nameOf, operation }: Seen): Html {
  if (!entries) return html``;
  const rows = entries.map(
    (entry) =>
      html`<tr><td class="right">#${String(entry.seq)}</td><td>${time(entry.at)}</td><td>${entry.kind}${entry.stepNumber !== undefined && html` ${entry.stepNumber}`}${entry.gone && html`: <span class="quiet">${GONE_WORDS[entry.gone]}</span>`}</td><td>${entry.actor ? nameOf(entry.actor) : 'Countersign'}</td><td>${chip(entry.hash.slice(0, 8))}</td></tr>`,
  );
  return html`<section class="panel"><div class="heading"><div><h2>The record</h2><p class="quiet" id="chain-words">${counted(entries.length, 'entry', 'entries')} of this operation. This browser recomputes the chain over them, and over what lies between, and compares it with the signed checkpoint.</p></div><div class="actions"><a class="button" href="/console/audit?operation=${operation.id}">Search and export</a></div></div>
<details><summary>All entries</summary><div class="scroll" role="region" aria-label="Entries" tabindex="0"><table><thead><tr><th scope="col" class="right">Entry</th><th scope="col">When</th><th scope="col">What</th><th scope="col">Who</th><th scope="col">Hash</th></tr></thead><tbody>${rows}</tbody></table></div></details></section>`;
}
