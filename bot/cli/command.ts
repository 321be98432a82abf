import type { ParseArgsOptionsConfig } from 'node:util';
import type { Browser } from '../../core/ports/browser.ts';
import type { CheckpointStore } from '../../core/ports/checkpoints.ts';
import type { Egress } from '../../core/ports/egress.ts';
import type { Http } from '../../core/ports/http.ts';
import type { Secret } from '../../core/secret.ts';
import type { Recorded } from '../../core/workflow/recording.ts';
import type { Config } from '../config.ts';
import type { Foundation } from '../foundation.ts';

/** One command of the operator's line; bot/cli.ts lists them. */
export interface Command {
  /** What follows `countersign` up to the first option, such as `audit verify FILE`: lower-case words are its name. */
  readonly usage: string;
  readonly summary: string;
  /** Options besides `--help`, in the form of node:util's parseArgs, each with the words that explain it. */
  readonly options?: Readonly<Record<string, ParseArgsOptionsConfig[string] & { readonly help: string }>>;
  /** @returns the exit code: 0 done, 1 found something wrong, 2 used wrongly. @throws CountersignError, whose sentence is shown. */
  run(call: Call): Promise<number>;
}

export interface Call {
  /** What stands for the capital words of the usage. */
  readonly args: readonly string[];
  readonly values: Readonly<Record<string, string | boolean | readonly string[] | undefined>>;
  /** A variable of the environment or `.env`. */
  env(name: string): string | undefined;
  /** The configuration of environment and `.env`. @throws CountersignError `config_invalid`. */
  config(): Config;
  /** The database and what stands on it, opened on first use and closed after the command. */
  open(): Promise<Foundation>;
  /** A folder of checkpoints, without any database. */
  checkpoints(dir: string): CheckpointStore;
  /** A browser behind the egress proxy, without any database; closed after the command. `privateTargets` are `host:port`. */
  openBrowser(privateTargets: readonly string[]): { readonly browser: Browser; readonly http: Http };
  /** Requests to the outside, and what may be reached there; without any browser or database. */
  openOutside(): { readonly egress: Pick<Egress, 'check'>; readonly http: Http };
  /** Runs a Playwright spec and hands over what its tests did. */
  recordSpec(spec: string, base: string | undefined): Promise<Recorded>;
  /** Has Slack forget a token. @throws CountersignError `chat_unavailable`. */
  revokeSlackToken(token: Secret): Promise<void>;
  /** See prisma/reclaim.ts. */
  reclaimSpace(ownerUrl: string): Promise<{ readonly isLogEnded: boolean; readonly stillOpen: readonly number[] }>;
  /** The app package for Teams. */
  teamsPackage(options: { appId: string; url: string; privacyUrl?: string; termsUrl?: string }): Buffer;
  /** What a person at the terminal types; `undefined` where nobody sits there. */
  ask(question: string): Promise<string | undefined>;
  /** A line for the standard output: the result. */
  say(line: string): void;
  /** A line for the standard error: progress and problems. */
  complain(line: string): void;
}

/** @returns the exit code of a command that was used wrongly. */
export function misused(call: Pick<Call, 'complain'>, words: string): number {
  call.complain(words);
  return 2;
}

/** `1 secret`, `2 secrets`, `3 entries` */
export function counted(count: number | bigint, one: string, many = `${one}s`): string {
  return `${count} ${BigInt(count) === 1n ? one : many}`;
}

/** The words that name a command: those of its usage in lower case. */
export function nameOf({ usage }: Pick<Command, 'usage'>): readonly string[] {
  return usage.split(' ').filter((word) => /^[a-z-]+$/.test(word));
}

/** How many capital words a usage has; one in brackets may be left out. */
export function argumentsOf({ usage }: Pick<Command, 'usage'>): { readonly least: number; readonly most: number } {
  const words = usage.split(' ').filter((word) => /^\[?[A-Z]+\]?$/.test(word));
  return { least: words.filter((word) => !word.startsWith('[')).length, most: words.length };
}
