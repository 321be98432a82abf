import { canonical, sha256Hex } from '../core/canonical.ts';
import type { Rules } from '../core/consent/policy.ts';
import {
  type DigestSettings,
  MOST_ALLOWED,
  MOST_ALLOWED_TEXT,
  MOST_APPROVALS,
  MOST_PER_HOUR,
  MOST_RETENTION_DAYS,
  parseAllowedTarget,
  type WorkSettings,
} from '../core/customers/settings.ts';
import { isTimeZone } from '../core/notices/clock.ts';
import type { ChatEvent, FormField } from '../core/ports/chat.ts';
import { capital } from './cards/text.ts';

/** All that an admin decides. */
export interface Settings extends Rules, WorkSettings, DigestSettings {
  /** Ids of the platform's people. */
  readonly approvers: readonly string[];
  readonly allowsModel: boolean;
  /** `null`: as long as the installation says. */
  readonly retentionDays: number | null;
}

/** What a form changes: the first one asks for the approvers alone. */
export type Changed = Pick<Settings, 'approvers' | keyof Rules> & Partial<Settings>;

export type RetentionDays = { readonly usual: number; readonly least: number };
export type Errors = Readonly<Record<string, string>>;
type Fields = Extract<ChatEvent, { kind: 'form' }>['fields'];

/** Changes with every setting: who saves a form says by it what they had before them. */
export function versionOf({ approvers, ...settings }: Settings): string {
  return sha256Hex(canonical({ ...settings, approvers: approvers.toSorted() }));
}

/** @param group the platform's field for its groups, where it has any */
export function approverFields(settings: Settings, group: readonly FormField[]): readonly FormField[] {
  return [
    { kind: 'people', name: 'approvers', label: 'Approvers', isRequired: false, initial: settings.approvers },
    ...group,
    {
      ...{ kind: 'text', name: 'required', label: 'How many of them have to approve', isRequired: true },
      help: 'Different people; two accounts of one person count once. One of them is enough to deny.',
      initial: String(settings.approvalsRequired),
    },
    {
      ...{ kind: 'checkboxes', name: 'rules', label: 'Rules' },
      options: [
        { value: 'admins', label: 'Every admin may approve, too', isChecked: settings.adminsApprove },
        {
          ...{ value: 'own', label: 'Approvers may approve their own requests', isChecked: settings.mayWorkAlone },
          help: 'For people who work alone. It is on record.',
        },
      ],
    },
  ];
}

export function workFields(settings: Settings, days: RetentionDays, hasChannels: boolean): readonly FormField[] {
  const { isGuideOnly, allowedTargets, allowedChannels, operationsPerHour, retentionDays, allowsModel } = settings;
  return [
    {
      ...{ kind: 'checkboxes', name: 'mode', label: 'Way of working' },
      options: [
        {
          ...{ value: 'guide_only', label: 'Only say how it is done by hand', isChecked: isGuideOnly },
          help: 'I then open no site, ask for no sign-in and make no key.',
        },
      ],
    },
    {
      ...{ kind: 'text', name: 'targets', label: 'Only these sites', isRequired: false, isMultiline: true },
      help: 'One a line, such as shop.example.com or *.example.com. Empty: every public site.',
      initial: allowedTargets.join('\n'),
    },
    ...(hasChannels
      ? [
          {
            ...({ kind: 'channels', name: 'channels', label: 'Only in these channels', isRequired: false } as const),
            help: 'Empty: everywhere that I am, direct messages included.',
            initial: allowedChannels,
          },
        ]
      : []),
    {
      ...{ kind: 'text', name: 'hourly', label: 'Set-ups an hour, at most', isRequired: false },
      help: 'Empty: as many as this installation allows.',
      initial: operationsPerHour === null ? '' : String(operationsPerHour),
    },
    {
      ...{ kind: 'text', name: 'retention', label: 'Days that records and pictures are kept', isRequired: false },
      help: `At least ${days.least}. Empty: ${days.usual}.`,
      initial: retentionDays === null ? '' : String(retentionDays),
    },
    {
      ...{ kind: 'checkboxes', name: 'model', label: 'Model' },
      options: [
        {
          ...{ value: 'on', label: 'Anthropic’s model may help', isChecked: allowsModel },
          help: 'With pictures of a shop’s page that has changed, secrets blackened, and with sentences that I don’t understand. Each plan says so.',
        },
      ],
    },
    {
      ...{ kind: 'checkboxes', name: 'digest', label: 'Summary' },
      options: [
        {
          ...{ value: 'on', label: 'A summary of each week for admins', isChecked: settings.hasDigest },
          help: 'On Monday at 09:00, directly; none after a week in which nothing happened.',
        },
      ],
    },
    {
      ...{ kind: 'text', name: 'zone', label: 'Time zone', isRequired: false },
      help: 'As Europe/Berlin or America/New_York. Empty: UTC.',
      initial: settings.timeZone ?? '',
    },
  ];
}

/** What the form of the approvers was filled in with, or messages at its fields. */
export function readApprovers(fields: Fields): Changed | { readonly errors: Errors } {
  const approvers = fields.approvers ?? [];
  const boxes = fields.rules ?? [];
  const rules = {
    mayWorkAlone: boxes.includes('own'),
    adminsApprove: boxes.includes('admins'),
    approverGroup: fields.group?.[0]?.trim() || null,
    approvalsRequired: Number(fields.required?.[0] ?? '1'),
  };
  if (approvers.length === 0 && !rules.adminsApprove && rules.approverGroup === null)
    return { errors: { approvers: 'Choose at least one.' } };
  if (!isWhole(rules.approvalsRequired, 1, MOST_APPROVALS))
    return { errors: { required: `Write a number from 1 to ${MOST_APPROVALS}.` } };
  return { approvers, ...rules };
}

/** The same for all settings. */
export function readSettings(fields: Fields, { least }: RetentionDays): Changed | { readonly errors: Errors } {
  const deciders = readApprovers(fields);
  const targets = readTargets(fields.targets?.[0] ?? '');
  const operationsPerHour = numberIn(fields.hourly);
  const retentionDays = numberIn(fields.retention);
  const allowedChannels = fields.channels ?? [];
  const timeZone = fields.zone?.[0]?.trim() || null;
  const errors: Errors = {
    ...('errors' in deciders ? deciders.errors : {}),
    ...('error' in targets ? { targets: targets.error } : {}),
    ...(allowedChannels.length > MOST_ALLOWED ? { channels: `At most ${MOST_ALLOWED} channels.` } : {}),
    ...(operationsPerHour === null || isWhole(operationsPerHour, 1, MOST_PER_HOUR)
      ? {}
      : { hourly: `Write a number from 1 to ${MOST_PER_HOUR}, or nothing.` }),
    ...(retentionDays === null || isWhole(retentionDays, least, MOST_RETENTION_DAYS)
      ? {}
      : { retention: `Write a number from ${least} to ${MOST_RETENTION_DAYS}, or nothing.` }),
    ...(timeZone === null || isTimeZone(timeZone)
      ? {}
      : { zone: 'I know no such time zone. Write it as Europe/Berlin, or nothing.' }),
  };
  if ('errors' in deciders || 'error' in targets || Object.keys(errors).length > 0) return { errors };
  return {
    ...deciders,
    isGuideOnly: fields.mode?.includes('guide_only') ?? false,
    allowedTargets: targets.hosts,
    ...{ operationsPerHour, retentionDays },
    // Where the platform has no channels the form has no such field, and those that were chosen stay.
    ...(fields.channels ? { allowedChannels } : {}),
    allowsModel: fields.model?.includes('on') ?? false,
    hasDigest: fields.digest?.includes('on') ?? false,
    timeZone,
  };
}

function readTargets(words: string): { readonly hosts: readonly string[] } | { readonly error: string } {
  const lines = words.split(/[\n,;]/).filter((line) => line.trim() !== '');
  const hosts: string[] = [];
  for (const line of lines) {
    const target = parseAllowedTarget(line);
    if (target === undefined)
      return { error: `“${line.trim().slice(0, 60)}” is no site. Write it like shop.example.com.` };
    if (!hosts.includes(target)) hosts.push(target);
  }
  if (hosts.length > MOST_ALLOWED) return { error: `At most ${MOST_ALLOWED} sites.` };
  // What is longer could not be shown for changing it.
  if (hosts.join('\n').length > MOST_ALLOWED_TEXT) return { error: `At most ${MOST_ALLOWED_TEXT} characters.` };
  return { hosts };
}

/** `null`: nothing was written. */
function numberIn(field: readonly string[] | undefined): number | null {
  const words = field?.[0]?.trim() ?? '';
  return words === '' ? null : Number(words);
}

function isWhole(value: number, least: number, most: number): boolean {
  return Number.isInteger(value) && value >= least && value <= most;
}

/** In sentences, for whoever saved them. */
export function settingsWords(settings: Settings, names: readonly string[], days: RetentionDays): string {
  const kept = settings.retentionDays ?? days.usual;
  return [
    approverWords(settings, names),
    workWords(settings),
    `Records are kept for ${kept} ${kept === 1 ? 'day' : 'days'}.`,
    ...(settings.allowsModel ? [] : ['The model is switched off.']),
    ...(settings.hasDigest ? [] : ['Admins get no weekly summary.']),
  ].join(' ');
}

/** @param names of those who were chosen */
export function approverWords({ adminsApprove, approverGroup, ...rules }: Rules, names: readonly string[]): string {
  const who = [...names, ...(adminsApprove ? ['every admin'] : [])].join(', ');
  const group = `everybody in the group ${approverGroup}`;
  return [
    ...(who === '' ? [] : [`${who} may approve${rules.mayWorkAlone ? ', own requests, too' : ''}.`]),
    ...(approverGroup === null ? [] : [who === '' ? `${capital(group)} may approve.` : `Also ${group}.`]),
    ...(rules.approvalsRequired > 1 ? [`It takes ${rules.approvalsRequired} of them.`] : []),
  ].join(' ');
}

function workWords(settings: WorkSettings): string {
  const { isGuideOnly, allowedTargets, allowedChannels, operationsPerHour } = settings;
  const sites =
    allowedTargets.length === 0
      ? 'at every public site'
      : `at ${allowedTargets.slice(0, 5).join(', ')}${allowedTargets.length > 5 ? ' and others' : ''}`;
  const channels =
    allowedChannels.length === 0
      ? ''
      : `, asked for in ${allowedChannels.length === 1 ? 'one channel' : `${allowedChannels.length} channels`} alone`;
  const often = operationsPerHour === null ? '' : `, at most ${operationsPerHour} set-ups an hour`;
  return `${isGuideOnly ? 'I only say how it is done by hand' : 'I set things up'} ${sites}${channels}${often}.`;
}
