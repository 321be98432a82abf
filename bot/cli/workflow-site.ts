import { readFileSync } from 'node:fs';
import { CountersignError } from '../../core/errors.ts';
import { Secret } from '../../core/secret.ts';
import { services } from '../../core/services/index.ts';
import type { OperationTypeDefinition } from '../../core/services/service.ts';
import { defaultPermissions } from '../../core/services/ways.ts';
import { type ReplayReport, replayWorkflow } from '../../core/workflow/replay.ts';
import type { Workflow } from '../../core/workflow/workflow.ts';
import type { Call } from './command.ts';

/** A site that a workflow is replayed on, and with what. */
export interface ReplaySite {
  /** Without a slash at the end. */
  readonly base: string;
  /** In place of the way's own further origins. */
  readonly origins?: readonly string[];
  readonly inputs: Readonly<Record<string, string>>;
  readonly secrets: Readonly<Record<string, Secret>>;
  /** The site may be on this computer or in a private network. */
  readonly isPrivateAllowed: boolean;
}

/** @throws CountersignError `config_invalid` for what is no http or https address. */
export function baseOf(text: string): string {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '')
    throw new CountersignError(
      'config_invalid',
      `--base takes an address such as https://shop.example.com, not “${text.slice(0, 100)}”.`,
    );
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
}

/** `name=value`, each once. @throws CountersignError `config_invalid`. */
export function pairs(texts: unknown, option: string): Readonly<Record<string, string>> {
  const list = Array.isArray(texts) ? texts.map(String) : [];
  return Object.fromEntries(
    list.map((text) => {
      const at = text.indexOf('=');
      if (at < 1) throw new CountersignError('config_invalid', `--${option} takes name=value.`);
      return [text.slice(0, at), text.slice(at + 1)];
    }),
  );
}

/**
 * The secrets that a workflow opens, from files (`slot=@file`), variables (`slot=env:NAME`) or `COUNTERSIGN_SECRET_SLOT`.
 * A value on the command line would stand in the list of processes. @throws CountersignError `config_invalid`.
 */
export function secretsFor(workflow: Workflow, call: Call): Readonly<Record<string, Secret>> {
  const given = pairs(call.values.secret, 'secret');
  return Object.fromEntries(
    workflow.secrets.map((slot) => {
      const value = secretFrom(given[slot], slot, call);
      if (value === undefined || value === '')
        throw new CountersignError(
          'config_invalid',
          // In words that don't look like a label with its secret, which would be blackened.
          `The workflow needs a value for its secret “${slot}”. Say where it stands: --secret, then “${slot}” with =@FILE or =env:NAME; or put it into ${variableOf(slot)}.`,
        );
      return [slot, new Secret(value)];
    }),
  );
}

function secretFrom(source: string | undefined, slot: string, call: Call): string | undefined {
  if (source === undefined) return call.env(variableOf(slot));
  if (source.startsWith('env:')) return call.env(source.slice('env:'.length));
  if (!source.startsWith('@'))
    throw new CountersignError(
      'config_invalid',
      `--secret ${slot} takes @FILE or env:NAME: a value here would be seen in the list of processes.`,
    );
  try {
    return readFileSync(source.slice(1), 'utf8').replace(/\r?\n$/, '');
  } catch (cause) {
    throw new CountersignError('config_invalid', `The file of --secret ${slot} can't be read.`, { cause });
  }
}

function variableOf(slot: string): string {
  return `COUNTERSIGN_SECRET_${slot.toUpperCase()}`;
}

/** Replays a workflow in a fresh browser that can reach its site and nothing else. @throws CountersignError `config_invalid`. */
export async function replayOn(call: Call, workflow: Workflow, site: ReplaySite): Promise<ReplayReport> {
  const type = typeOf(workflow);
  const way = type?.ways.find(({ workflowId }) => workflowId === workflow.id);
  const defaults = type && way ? defaultPermissions(type, way) : [];
  const label = `Countersign ${workflow.id} ${new Date().toISOString().slice(0, 16)}`;
  const values = { label, ...type?.values(defaults), ...site.inputs, base: site.base };
  const missing = workflow.inputs.filter((name) => !Object.hasOwn(values, name));
  if (missing.length > 0)
    throw new CountersignError('config_invalid', `The workflow needs --input for: ${missing.join(', ')}.`);
  const { origin } = new URL(site.base);
  const origins = [origin, ...(site.origins ?? way?.origins ?? [])];
  const { browser, http } = call.openBrowser(site.isPrivateAllowed ? origins.map(authorityOf) : []);
  const session = await browser.open({ origins });
  try {
    return await replayWorkflow(workflow, {
      ...{ session, values, secrets: site.secrets, signal: new AbortController().signal },
      ...(type === undefined
        ? {}
        : {
            verify: (credential) =>
              type.verify({ base: site.base, origin, credential, permissions: permissionsFor(type, values), http }),
          }),
    });
  } finally {
    await session.close();
  }
}

/** `host:port` */
function authorityOf(origin: string): string {
  const { host, protocol } = new URL(origin);
  return /:\d+$/.test(host) ? host : `${host}:${protocol === 'https:' ? 443 : 80}`;
}

function typeOf(workflow: Workflow): OperationTypeDefinition | undefined {
  const types = services.flatMap(({ operationTypes }) => Object.values(operationTypes));
  return types.find((type) => type?.ways.some(({ workflowId }) => workflowId === workflow.id));
}

/** The permissions that lead to these values: what a check of the key expects of it. */
function permissionsFor(type: OperationTypeDefinition, values: Readonly<Record<string, string>>): readonly string[] {
  const ids = type.permissions.map(({ id }) => id);
  const fits = (granted: readonly string[]) =>
    type.checkPermissions(granted) === undefined &&
    Object.entries(type.values(granted)).every(
      ([name, value]) => values[name] === value || /(?:Words|Base)$/.test(name),
    );
  return choicesOf(type, ids).find(fits) ?? ids;
}

/** All of them where they are few; else those that are two permissions at most from what is asked for by itself. */
function choicesOf(type: OperationTypeDefinition, ids: readonly string[]): readonly (readonly string[])[] {
  if (ids.length <= FEW)
    return Array.from({ length: 2 ** ids.length }, (_, bits) => ids.filter((_id, i) => (bits >> i) % 2 === 1));
  const usual = defaultPermissions(type);
  const without = (...changed: readonly string[]) => ids.filter((id) => usual.includes(id) !== changed.includes(id));
  return [usual, ...ids.flatMap((one) => ids.map((other) => without(one, other)))];
}

const FEW = 10;

/** Whether an address is one of this computer or a private network, by its looks: for a hint, not for a decision. */
export function looksPrivate(base: string): boolean {
  const { hostname } = new URL(base);
  return /^(?:localhost|127\.|10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|\[)|\.(?:local|internal|test)$/.test(
    hostname,
  );
}
