import { z } from 'zod';

const id = z.string();
const KNOWN = /^[A-Z0-9]{2,32}$/;
/** Texts in a command's form, booleans elsewhere. */
const flag = z.union([z.boolean(), z.enum(['true', 'false']).transform((word) => word === 'true')]);

const sent = z.looseObject({
  type: z.string().optional(),
  command: z.string().optional(),
  is_enterprise_install: flag.optional(),
  team_id: id.nullish(),
  enterprise_id: id.nullish(),
  context_team_id: id.nullish(),
  context_enterprise_id: id.nullish(),
  authorizations: z
    .array(z.looseObject({ is_enterprise_install: flag.optional(), enterprise_id: id.nullish() }))
    .nullish(),
  team: z.looseObject({ id, enterprise_id: id.nullish() }).nullish(),
  enterprise: z.looseObject({ id }).nullish(),
  user: z.looseObject({ team_id: id.nullish() }).optional().catch(undefined),
  view: z.looseObject({ app_installed_team_id: id.nullish() }).optional(),
  event: z
    .looseObject({ type: z.string(), tokens: z.looseObject({ bot: z.array(z.string()).nullish() }).optional() })
    .optional(),
  event_time: z.number().optional(),
});

/**
 * Which installation something from Slack is for: the organisation's where it is installed for all of it, else the
 * workspace's. In a channel that workspaces share, `team_id` may be another one's, and `context_team_id` is ours; a modal
 * that was opened there names ours itself (docs.slack.dev, Slack Connect; the same order as bolt 5.1, App.js, buildSource).
 */
export function installationOf(body: unknown): string | undefined {
  const read = sent.safeParse(body).data;
  if (!read) return undefined;
  const { authorizations, enterprise, team, view, user } = read;
  const isOrgWide = authorizations?.[0]?.is_enterprise_install ?? read.is_enterprise_install ?? false;
  const ofOrganisation =
    read.context_enterprise_id ??
    authorizations?.[0]?.enterprise_id ??
    enterprise?.id ??
    team?.enterprise_id ??
    read.enterprise_id;
  const ofWorkspace = read.context_team_id ?? view?.app_installed_team_id ?? read.team_id ?? team?.id ?? user?.team_id;
  // Where there is no workspace at all it can only be an organisation's.
  const found = isOrgWide ? ofOrganisation : (ofWorkspace ?? ofOrganisation);
  return found && KNOWN.test(found) ? found : undefined;
}

/** That an installation, or its token, is gone. */
export interface Farewell {
  readonly kind: (typeof FAREWELLS)[number];
  readonly workspaceId: string;
  /** When it happened, by Slack's clock, in seconds. */
  readonly at: number;
}

const FAREWELLS = ['app_uninstalled', 'tokens_revoked'] as const;

/** `undefined`: it is something else; `tokens_revoked` may also be about people's tokens, which we have none of. */
export function readFarewell(body: unknown): Farewell | undefined {
  const read = sent.safeParse(body).data;
  const kind = FAREWELLS.find((name) => name === read?.event?.type);
  const workspaceId = installationOf(body);
  if (read?.type !== 'event_callback' || !kind || workspaceId === undefined) return undefined;
  if (kind === 'tokens_revoked' && (read.event?.tokens?.bot ?? []).length === 0) return undefined;
  return { kind, workspaceId, at: read.event_time ?? 0 };
}
