import { resolve } from 'node:path';
import type { ReplayReport } from '../../core/workflow/replay.ts';
import type { Workflow } from '../../core/workflow/workflow.ts';
import type { Call, Command } from './command.ts';
import { openRegistry, SHIPPED } from './workflow-files.ts';
import { startPractice } from './workflow-practice.ts';
import { record } from './workflow-record.ts';
import { linesOf } from './workflow-report.ts';
import { baseOf, looksPrivate, pairs, replayOn, secretsFor } from './workflow-site.ts';

/** Learns workflows from a Playwright spec. */
export const workflowRecord: Command = {
  usage: 'workflow record SPEC',
  summary:
    'Runs a Playwright spec and makes a workflow of each of its tests. Shows what changes before anything is overwritten.',
  options: {
    base: { type: 'string', help: 'the address of the site, as Playwright’s baseURL; without it, the spec’s own' },
    out: { type: 'string', help: 'a knowledge base of your own, instead of the shipped one' },
    yes: { type: 'boolean', help: 'overwrite without asking' },
  },
  run: record,
};

/** Runs one workflow on a site, outside of any operation. */
export const workflowReplay: Command = {
  usage: 'workflow replay ID',
  summary: 'Runs a workflow on a site, without an operation: nothing is countersigned, stored or put on record.',
  options: {
    base: { type: 'string', help: 'the address of the site; the browser reaches nothing else' },
    json: { type: 'boolean', help: 'print a report as JSON' },
    input: { type: 'string', multiple: true, help: 'name=value, for each input' },
    secret: { type: 'string', multiple: true, help: 'slot=@FILE or slot=env:NAME, for each secret' },
    'knowledge-base': { type: 'string', help: 'a file that `workflow record --out` made' },
    'allow-private': { type: 'boolean', help: 'the site may be on this computer or in a private network' },
  },
  async run(call) {
    const { base, json, 'knowledge-base': own } = call.values;
    if (typeof base !== 'string') {
      call.complain('Where? --base takes the address of the site.');
      return 2;
    }
    const registry = openRegistry(typeof own === 'string' ? resolve(own) : SHIPPED);
    const workflow = registry.getDefinition(call.args[0] ?? '');
    const site = {
      base: baseOf(base),
      inputs: pairs(call.values.input, 'input'),
      secrets: secretsFor(workflow, call),
      isPrivateAllowed: call.values['allow-private'] === true,
    };
    const report = await replayOn(call, workflow, site);
    if (json === true) call.say(JSON.stringify(report, null, 2));
    else for (const line of linesOf(report)) call.say(line);
    if (!report.success && !site.isPrivateAllowed && looksPrivate(site.base))
      call.complain(`${site.base} is no public address: allow it by --allow-private or ALLOW_PRIVATE_TARGETS.`);
    return report.success ? 0 : 1;
  },
};

/** What has to pass before a workflow counts as published. */
export const workflowCheck: Command = {
  usage: 'workflow check [SERVICE]',
  summary:
    'Replays every published workflow, or those of one service, on its practice service; only what passes here counts as published.',
  options: { json: { type: 'boolean', help: 'print the reports as JSON' } },
  async run(call) {
    const [wanted] = call.args;
    const found = openRegistry(SHIPPED)
      .list()
      .filter(({ service }) => wanted === undefined || service === wanted);
    if (found.length === 0) {
      call.complain(`There is no workflow of a service “${wanted}”.`);
      return 2;
    }
    const reports: ReplayReport[] = [];
    // What a person enters by hand has no pages to replay, and what is about a stored key finds none here.
    const replayed = found.filter(
      ({ steps, inputs }) => steps.every(({ kind }) => kind !== 'receive') && !inputs.includes('oldLabel'),
    );
    for (const workflow of replayed) reports.push(...(await checkOne(call, workflow)));
    if (call.values.json === true) call.say(JSON.stringify(reports, null, 2));
    else for (const line of reports.flatMap(linesOf)) call.say(line);
    const failed = reports.filter(({ success }) => !success).length;
    call.complain(`${reports.length - failed} passed, ${failed} failed`);
    return failed === 0 ? 0 : 1;
  },
};

async function checkOne(call: Call, workflow: Workflow): Promise<readonly ReplayReport[]> {
  const practice = await startPractice(workflow.service);
  try {
    const reports: ReplayReport[] = [];
    if (practice.missing !== undefined) call.complain(`${workflow.id} is left out. ${practice.missing}`);
    for (const site of practice.sites) reports.push(await replayOn(call, workflow, site));
    return reports;
  } finally {
    await practice.close();
  }
}
