/**
 * What becomes of each table's rows, and of each of its columns: one list, from which rows are exported, and against which
 * retention, erasure and docs/privacy.md are tested. A table or a column that it does not name fails test/core/rights.test.ts.
 */
export interface TableRule {
  /** What the rows are, for who reads an export. */
  readonly what: string;
  readonly kept: Kept;
  /** Columns that an export shows as they are. */
  readonly shown: readonly string[];
  /** Columns that it does not: why. */
  readonly withheld?: Readonly<Record<string, string>>;
  /** Sealed columns that it opens, into files of their own. */
  readonly opened?: Readonly<Record<string, 'audit' | 'pictures'>>;
  /** Which rows are about a person; absent: none. */
  readonly person?: PersonRule;
}

/**
 * How long rows stay where nobody is erased. `retention`: until they are over for AUDIT_RETENTION_DAYS (app.forget_old,
 * app.sweep, app.drop_audit). `operation`: as long as their operation. `day`: a day at most. `customer`: until the customer is
 * erased. `for good`: also after that, without anything that says who it was.
 */
export type Kept = 'retention' | 'operation' | 'day' | 'customer' | 'for good';

export interface PersonRule {
  /** Rows that name them in one of these columns. */
  readonly by?: readonly string[];
  /**
   * Rows of an operation that they asked for (`trail`: or entries that they made), threads that such an operation is in, messages there,
   * or rows of a token that acts for them: app.export_rows.
   */
  readonly through?: 'operation' | 'trail' | 'thread' | 'message' | 'token';
  /** Columns that are about whoever the column `of` names: in a person's export only where that is them. */
  readonly own?: { readonly of: string; readonly columns: readonly string[] };
  /** What the erasure of that person does with them. `words`: what they wrote, or what says who they are, is taken out. */
  readonly erased: 'deleted' | 'words' | 'pseudonym';
}

const HASH = 'a hash, which leads back to nothing';
const SECRET = 'a secret: an export holds none; keys are shown by their one-time link alone';
const OF_OPERATION = { kept: 'operation', person: { through: 'operation', erased: 'pseudonym' } } as const;
const PLACE = ['customer_id', 'operation_id'] as const;

export const TABLES: Readonly<Record<string, TableRule>> = {
  customers: {
    what: 'the customer, and its rules',
    kept: 'for good',
    shown: [
      ...[
        'customer_id',
        'name',
        'may_work_alone',
        'approvals_required',
        'admins_approve',
        'approver_group',
        'allows_model',
      ],
      ...['is_guide_only', 'allowed_targets', 'allowed_channels', 'operations_per_hour', 'retention_days', 'paused_at'],
      ...['pause_reason', 'has_digest', 'time_zone', 'erased_at', 'created_at'],
    ],
  },
  workspaces: {
    what: 'workspaces and organisations of chat platforms',
    kept: 'customer',
    shown: ['customer_id', 'platform', 'workspace_id', 'created_at'],
  },
  slack_installations: {
    what: 'installations of Slack',
    kept: 'retention',
    shown: [
      ...['customer_id', 'workspace_id', 'app_id', 'team_id', 'enterprise_id', 'bot_user_id', 'scopes', 'installed_by'],
      ...['expires_at', 'installed_at', 'removed_at', 'cleared_at'],
    ],
    withheld: { sealed: SECRET },
    person: { by: ['installed_by'], erased: 'pseudonym' },
  },
  members: {
    what: 'people, as their chat platforms name them, and their roles',
    kept: 'customer',
    shown: ['customer_id', 'id', 'platform', 'workspace_id', 'user_id', 'name', 'roles', 'person_id', 'created_at'],
    person: { by: ['id'], erased: 'words' },
  },
  threads: {
    what: 'threads in the chat, and how much of the trail each has shown',
    kept: 'retention',
    shown: ['customer_id', 'id', 'platform', 'workspace_id', 'ref', 'awaiting', 'last_seq', 'cursor', 'created_at'],
    person: { through: 'thread', erased: 'words' },
  },
  thread_messages: {
    what: 'messages that are edited in place, and how a conversation is reached',
    kept: 'retention',
    shown: ['customer_id', 'thread_id', 'slot', 'ref', 'shown', 'created_at'],
    person: { through: 'message', erased: 'deleted' },
  },
  chat_events: {
    what: 'which events of the chat had their effect',
    kept: 'retention',
    shown: ['customer_id', 'platform', 'event_id', 'created_at', 'due_at'],
    withheld: { sealed: 'words that wait for their answer, for an hour at most: a password may be among them' },
  },
  autonomous_operations: {
    what: 'what was asked for, its plan as shown, and what came of it',
    kept: 'retention',
    shown: [
      ...[
        'customer_id',
        'id',
        'thread_id',
        'user_id',
        'service',
        'operation',
        'target',
        'workflow_id',
        'workflow_version',
      ],
      ...[
        'status',
        'fence',
        'plan',
        'plan_hash',
        'permissions',
        'consent_given',
        'consent_timestamp',
        'consent_expires_at',
      ],
      ...['started_at', 'completed_at', 'total_steps', 'current_step', 'result', 'error_code', 'error_message'],
      ...['execution_metadata', 'job_id', 'hold', 'held_by', 'retry_of', 'created_at', 'updated_at'],
    ],
    person: { by: ['user_id', 'held_by'], erased: 'words' },
  },
  operation_steps: {
    what: 'steps, and how each went',
    kept: 'operation',
    shown: [
      ...[...PLACE, 'number', 'intent', 'state', 'attempt', 'rung', 'started_at', 'finished_at', 'duration_ms'],
      ...['screenshot_id', 'note'],
    ],
    person: { through: 'operation', erased: 'words' },
  },
  questions: {
    what: 'what an operation asked a person',
    kept: 'operation',
    shown: [
      ...[...PLACE, 'id', 'step', 'kind', 'words', 'screenshot_id', 'asked_at', 'expires_at', 'reminded_at', 'closed'],
      ...['closed_at', 'answered_by'],
    ],
    person: { by: ['answered_by'], through: 'operation', erased: 'pseudonym' },
  },
  model_calls: {
    what: 'questions to the model, and what each cost',
    ...OF_OPERATION,
    shown: [...PLACE, 'id', 'step', 'reserved_micros', 'spent_micros', 'created_at'],
  },
  operation_intents: {
    what: 'effects, as they were about to happen',
    ...OF_OPERATION,
    shown: [...PLACE, 'step', 'attempt', 'label', 'state', 'started_at', 'settled_at'],
  },
  workflow_proposals: {
    what: 'what elements of the customer’s pages had become',
    kept: 'retention',
    shown: [
      ...[...PLACE, 'id', 'workflow_id', 'workflow_version', 'target', 'step', 'field', 'digest', 'element', 'score'],
      ...['margin', 'held', 'created_at', 'last_held_at', 'discarded_at', 'discarded_by', 'marked_at', 'marked_by'],
    ],
    person: { by: ['discarded_by', 'marked_by'], erased: 'pseudonym' },
  },
  autonomous_operations_audit: {
    what: 'the trail, without its words, which are in the file audit',
    kept: 'retention',
    shown: [
      ...[...PLACE, 'seq', 'kind', 'at', 'header', 'prev', 'hash', 'step_number', 'attempt', 'success', 'duration_ms'],
    ],
    opened: { payload: 'audit' },
    person: { through: 'trail', erased: 'words' },
  },
  audit_heads: {
    what: 'where the trail ends',
    kept: 'for good',
    shown: ['customer_id', 'seq', 'hash', 'at'],
  },
  audit_checkpoints: {
    what: 'signed checkpoints of the trail',
    kept: 'for good',
    shown: ['customer_id', 'seq', 'hash', 'note', 'created_at'],
  },
  customer_keys: {
    what: 'versions of the customer’s key',
    kept: 'for good',
    shown: ['customer_id', 'version', 'state', 'seals', 'created_at'],
    withheld: {
      wrapped: 'a key of encryption, which is nobody’s to have; it is destroyed where the customer is erased',
    },
  },
  autonomous_credentials: {
    what: 'stored keys and sign-in secrets: where each belongs, never what it is',
    kept: 'customer',
    shown: [
      ...[...PLACE, 'id', 'service', 'target', 'credential_type', 'encryption_key_id', 'secret_version', 'expires_at'],
      ...['last_rotated_at', 'rotation_required', 'credential_metadata', 'created_at', 'updated_at'],
    ],
    withheld: { encrypted_credential: SECRET },
    person: { through: 'operation', erased: 'deleted' },
  },
  consent_requests: {
    what: 'questions for a countersignature',
    kept: 'operation',
    shown: [
      ...[...PLACE, 'id', 'plan_hash', 'asked_at', 'expires_at', 'decision', 'decided_at', 'decided_by', 'method'],
      ...['asked_by', 'asked_for', 'widened', 'terms'],
    ],
    person: { by: ['asked_by', 'decided_by'], through: 'operation', erased: 'pseudonym' },
  },
  autonomous_consent: {
    what: 'countersignatures',
    kept: 'operation',
    shown: [
      ...[...PLACE, 'id', 'request_id', 'user_id', 'service', 'operation', 'target', 'permissions', 'plan_hash'],
      ...['granted_at', 'expires_at', 'revoked_at', 'revoked_by', 'collection_method', 'ip_address', 'user_agent'],
      ...['consent_version', 'extends', 'template_hash', 'keeps', 'created_at'],
    ],
    person: {
      ...{ by: ['user_id', 'revoked_by'], through: 'operation', erased: 'words' },
      own: { of: 'user_id', columns: ['ip_address', 'user_agent'] },
    },
  },
  consent_events: {
    what: 'what happened to a question and its countersignature',
    kept: 'operation',
    shown: [
      ...[...PLACE, 'request_id', 'n', 'kind', 'at', 'member_id', 'method', 'basis', 'plan_hash', 'permissions'],
      ...['expires_at', 'reason'],
    ],
    person: { by: ['member_id'], through: 'operation', erased: 'pseudonym' },
  },
  screenshots: {
    what: 'pictures of steps; the pictures themselves are in the folder pictures',
    kept: 'retention',
    shown: [...PLACE, 'id', 'step', 'media_type', 'width', 'height', 'alt', 'created_at'],
    opened: { sealed: 'pictures' },
    person: { through: 'operation', erased: 'deleted' },
  },
  connect_links: {
    what: 'one-time links to a page for one person',
    kept: 'retention',
    shown: [...PLACE, 'id', 'purpose', 'member_id', 'expires_at', 'spent_at', 'created_at'],
    withheld: { token_hash: HASH },
    person: { by: ['member_id'], erased: 'deleted' },
  },
  console_sessions: {
    what: 'links to the console, and the sessions that they became',
    kept: 'retention',
    shown: [
      ...['customer_id', 'id', 'member_id', 'link_expires_at', 'roles', 'opened_at', 'expires_at', 'last_used_at'],
      ...['ended_at', 'created_at'],
    ],
    withheld: { link_hash: HASH, session_hash: HASH },
    person: { by: ['member_id'], erased: 'deleted' },
  },
  api_tokens: {
    what: 'tokens of the HTTP API: what each may do, never itself',
    kept: 'retention',
    shown: [
      ...['customer_id', 'id', 'scopes', 'created_by', 'expires_at', 'last_used_at', 'revoked_at', 'created_at'],
      'member_id',
    ],
    withheld: { token_hash: HASH },
    person: { by: ['member_id', 'created_by'], erased: 'deleted' },
  },
  api_answers: {
    what: 'which requests with an Idempotency-Key were answered',
    kept: 'day',
    shown: ['customer_id', 'token_id', 'taken_at', 'status', 'created_at'],
    withheld: {
      key_hash: HASH,
      request_hash: HASH,
      sealed: 'the answer again, which whoever asked has, made of what stands in the other files; kept for a day',
    },
    person: { through: 'token', erased: 'deleted' },
  },
  webhooks: {
    what: 'where the customer is told of what goes on record',
    kept: 'retention',
    shown: ['customer_id', 'id', 'url', 'kinds', 'cursor', 'created_at', 'removed_at'],
    withheld: { sealed: SECRET },
  },
  connection_health: {
    what: 'how each connection fares, and what people were told of it',
    kept: 'customer',
    shown: [
      ...[
        'customer_id',
        'service',
        'target',
        'credential_type',
        'state',
        'reason',
        'since',
        'checked_at',
        'next_check_at',
      ],
      ...['failures', 'refused_since', 'claim', 'claimed_until', 'told_state', 'told_at', 'told_count', 'told_of'],
      ...['warned_days', 'warned_for'],
    ],
  },
  notice_choices: {
    what: 'how each person wants to be told',
    kept: 'customer',
    shown: ['customer_id', 'member_id', 'place', 'quiet_from', 'quiet_to', 'time_zone'],
    person: { by: ['member_id'], erased: 'deleted' },
  },
  notices: {
    what: 'what people are told, once',
    kept: 'retention',
    shown: [
      ...['customer_id', 'id', 'member_id', 'kind', 'about', 'key', 'due_at', 'held_at', 'batch', 'thread_ref', 'ref'],
      ...['sent_at', 'created_at'],
    ],
    person: { by: ['member_id'], erased: 'deleted' },
  },
  step_episodes: {
    what: 'times in which a step failed more often than it used to',
    kept: 'retention',
    shown: [
      ...['customer_id', 'id', 'workflow_id', 'workflow_version', 'step', 'before_done', 'before_all', 'recent_done'],
      ...['recent_all', 'old_picture', 'new_picture', 'opened_at', 'closed_at'],
    ],
  },
  limits: {
    what: 'how much of each limit was left, and when',
    kept: 'retention',
    shown: ['customer_id', 'name', 'remaining', 'at'],
  },
  erasures: {
    what: 'erasures, with their receipts',
    kept: 'for good',
    shown: ['customer_id', 'id', 'member_id', 'state', 'gone', 'begun_at', 'finished_at', 'receipt'],
    person: { by: ['member_id'], erased: 'pseudonym' },
  },
};
