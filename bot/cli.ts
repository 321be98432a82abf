// `npm run countersign -- <command>`: the operator's command line. It works beside a running program, on the same database.
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { parseArgs } from 'node:util';
import { createBrowser, createEgress, findChromium } from '../adapters/browser/index.ts';
import { recordSpec } from '../adapters/browser/recording/run.ts';
import { createFileCheckpoints } from '../adapters/checkpoints/index.ts';
import { createHttp } from '../adapters/http/index.ts';
import { revokeToken } from '../adapters/slack/index.ts';
import { teamsPackage } from '../adapters/teams/package.ts';
import { withoutTricks } from '../core/plain-text.ts';
import type { Log } from '../core/ports/log.ts';
import { reclaimSpace } from '../prisma/reclaim.ts';
import { auditExport, auditVerify } from './cli/audit.ts';
import { argumentsOf, type Call, type Command, nameOf } from './cli/command.ts';
import { customerErase, customerExport, customerHold, customerLink } from './cli/customer.ts';
import { doctor } from './cli/doctor.ts';
import { pause, resume } from './cli/pause.ts';
import { queueList, queueRedrive, queueStatsCommand } from './cli/queue.ts';
import { restored } from './cli/restored.ts';
import { slackDisconnect, slackManifest } from './cli/slack.ts';
import { teamsPackageCommand } from './cli/teams.ts';
import { tokenCreate, tokenList, tokenRevoke } from './cli/token.ts';
import { vaultList, vaultRotate } from './cli/vault.ts';
import { webhookAdd, webhookList, webhookRemove, webhookReplay } from './cli/webhook.ts';
import { workflowCheck, workflowRecord, workflowReplay } from './cli/workflow.ts';
import { workflowPromote, workflowProposals } from './cli/workflow-promote.ts';
import { type Config, readConfig } from './config.ts';
import { explain } from './explain.ts';
import { type Foundation, openFoundation } from './foundation.ts';
import { VARIABLES } from './variables.ts';

/** Every command, in the order in which `help` lists them. */
export const COMMANDS: readonly Command[] = [
  ...[auditVerify, auditExport],
  ...[customerHold, customerExport, customerErase, customerLink],
  ...[vaultList, vaultRotate],
  ...[queueList, queueStatsCommand, queueRedrive],
  ...[tokenCreate, tokenList, tokenRevoke],
  ...[webhookAdd, webhookList, webhookRemove, webhookReplay],
  ...[pause, resume],
  restored,
  doctor,
  ...[slackManifest, slackDisconnect],
  teamsPackageCommand,
  ...[workflowRecord, workflowReplay, workflowCheck, workflowProposals, workflowPromote],
];

const SILENT: Log = { debug() {}, info() {}, warn() {}, error() {} };

export interface CliOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly say: (line: string) => void;
  readonly complain: (line: string) => void;
  /** Where an embedded database lies; the project's `.countersign` by default. */
  readonly folder?: string;
  readonly commands?: readonly Command[];
  /** Asks whoever sits at the terminal; absent: nobody does. */
  readonly ask?: (question: string) => Promise<string>;
}

/** Runs one command line. @returns the exit code; never throws: what went wrong is one sentence on the standard error. */
export async function runCli(argv: readonly string[], given: CliOptions): Promise<number> {
  const options = clean(given);
  const { say, complain, commands = COMMANDS } = options;
  const command = commands.find((candidate) => nameOf(candidate).every((word, index) => argv[index] === word));
  if (!command) return explainCommands(argv, commands, say, complain);
  const ending: (() => Promise<unknown>)[] = [];
  try {
    const { values, positionals } = read(command, argv.slice(nameOf(command).length));
    const { least, most } = argumentsOf(command);
    if (values.help || positionals.length < least || positionals.length > most) {
      (values.help ? say : complain)(usageOf(command));
      return values.help ? 0 : 2;
    }
    return await command.run(callOf(options, positionals, values, ending));
  } catch (error) {
    complain(isMisuse(error) ? `${error.message}\n\n${usageOf(command)}` : explain(error));
    return isMisuse(error) ? 2 : 1;
  } finally {
    for (const end of ending.splice(0).reverse()) await end().catch(() => {});
  }
}

/** Whatever anybody wrote, a terminal shows it and does nothing that it says. */
function clean(options: CliOptions): CliOptions {
  const { say, complain, ask } = options;
  return {
    ...options,
    say: (line) => say(withoutTricks(line)),
    complain: (line) => complain(withoutTricks(line)),
    ...(ask ? { ask: (question) => ask(withoutTricks(question)) } : {}),
  };
}

function callOf(
  { env, folder, say, complain, ask }: CliOptions,
  args: readonly string[],
  values: Call['values'],
  ending: (() => Promise<unknown>)[],
): Call {
  let opened: Promise<Foundation> | undefined;
  const config = (): Config => readConfig(env);
  const open = () =>
    (opened ??= openFoundation(
      config(),
      { mayJoin: true, patienceMs: 0, ...(folder === undefined ? {} : { folder }) },
      ending,
    ));
  const checkpoints = (dir: string) => createFileCheckpoints({ dir });
  const chromium = () => {
    const { agent, isProduction } = config();
    const chromiumFolder = join(folder ?? join(import.meta.dirname, '..', '.countersign'), 'chromium');
    return { path: agent.chromiumPath, folder: chromiumFolder, mayInstall: !isProduction };
  };
  const openBrowser = (privateTargets: readonly string[]) => {
    const { path, folder: chromiumFolder, mayInstall } = chromium();
    const egress = createEgress({ privateTargets: [...config().targets.private, ...privateTargets], log: SILENT });
    const browser = createBrowser({
      ...{ egress, log: SILENT, mayInstall, chromiumFolder },
      ...(path === undefined ? {} : { chromiumPath: path }),
    });
    ending.push(() => browser.close());
    return { browser, http: createHttp({ egress }) };
  };
  const openOutside = () => {
    const egress = createEgress({ privateTargets: config().targets.private, log: SILENT });
    return { egress, http: createHttp({ egress }) };
  };
  return {
    ...{ args, values, config, open, checkpoints, openBrowser, openOutside, say, complain },
    env: (name) => env[name],
    ask: async (question) => ask?.(question),
    revokeSlackToken: (token) => revokeToken({ token, apiUrl: config().slack?.apiUrl, log: SILENT }),
    reclaimSpace: (ownerUrl) => reclaimSpace(ownerUrl),
    teamsPackage,
    async recordSpec(spec, base) {
      const { path, ...where } = chromium();
      const found = await findChromium({ ...where, log: SILENT, ...(path === undefined ? {} : { configured: path }) });
      return recordSpec({ spec, chromium: found, env, withheld: VARIABLES, ...(base === undefined ? {} : { base }) });
    },
  };
}

function read(command: Command, argv: readonly string[]) {
  const options = Object.fromEntries(
    Object.entries(command.options ?? {}).map(([name, { help: _, ...option }]) => [name, option]),
  );
  const { values, positionals } = parseArgs({
    args: [...argv],
    options: { ...options, help: { type: 'boolean', short: 'h' } },
    allowPositionals: true,
  });
  // parseArgs gives strings, booleans, and lists of strings for options that may be given several times.
  return { values: values as Call['values'], positionals };
}

function isMisuse(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS');
}

function usageOf({ usage, summary, options = {} }: Command): string {
  const rows = Object.entries(options).map(([name, option]) => {
    const value = option.type === 'string' ? ' VALUE' : '';
    return `  ${`--${name}${value}`.padEnd(22)} ${option.help}`;
  });
  return [`Usage: npm run countersign -- ${usage}${rows.length > 0 ? ' [OPTIONS]' : ''}`, summary, ...rows].join('\n');
}

function explainCommands(
  argv: readonly string[],
  commands: readonly Command[],
  say: (line: string) => void,
  complain: (line: string) => void,
): number {
  const isHelp = argv.length === 0 || ['help', '--help', '-h'].includes(argv[0] ?? '');
  const width = Math.max(0, ...commands.map(({ usage }) => usage.length));
  const list = commands.map(({ usage, summary }) => `  ${usage.padEnd(width)}   ${summary}`);
  if (!isHelp) complain(`There is no command “${argv.slice(0, 2).join(' ')}”.`);
  (isHelp ? say : complain)(['Usage: npm run countersign -- COMMAND', '', ...list].join('\n'));
  return isHelp ? 0 : 2;
}

if (import.meta.main) {
  try {
    process.loadEnvFile(join(import.meta.dirname, '..', '.env'));
  } catch {
    // no .env: the environment alone
  }
  process.exitCode = await runCli(process.argv.slice(2), {
    env: process.env,
    say: (line) => process.stdout.write(`${line}\n`),
    complain: (line) => process.stderr.write(`${line}\n`),
    ...(process.stdin.isTTY ? { ask: askAtTerminal } : {}),
  });
}

async function askAtTerminal(question: string): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await terminal.question(question);
  } finally {
    terminal.close();
  }
}
