// One list of rules for all: each slip beside it names the rule that finds it.
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newUuid } from '../../core/ids.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

/**
 * Reads PostgreSQL's own catalogue, so that a table, function or grant of tomorrow is held to the rules of today without
 * anybody thinking of it. An exception is written down here, with its reason, or it is none.
 */
let testDatabase: TestDatabase;
let admin: pg.Client;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  admin = new pg.Client({ connectionString: testDatabase.adminUrl });
  await admin.connect();
});

afterAll(async () => {
  await admin.end();
  await testDatabase.drop();
});

async function found(text: string): Promise<string[]> {
  return (await admin.query<{ found: string }>(text)).rows.map((row) => row.found);
}

const OURS = "n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'";
const TABLES = `pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') AND n.nspname = 'public'`;
const IN_PUBLIC = `${TABLES} AND c.relname <> '_prisma_migrations'`; // names of migrations; the program has no right to it
const ROLES = ['countersign', 'countersign_program'];
const RETENTION = 'countersign_retention';
const POLICY = '(customer_id = ( SELECT sec.customer() AS customer))';

/** What each rule finds wrong; a list, because the rules are tried on broken copies below. */
const rules: Readonly<Record<string, () => Promise<string[]>>> = {
  'every table says whose its rows are': () =>
    found(`SELECT c.relname AS found FROM ${IN_PUBLIC} AND NOT EXISTS (
      SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'customer_id' AND a.attnotnull
        AND a.atttypid = 'uuid'::regtype AND NOT a.attisdropped)`),

  'every table has row level security, forced': () =>
    found(`SELECT c.relname AS found FROM ${IN_PUBLIC} AND NOT (c.relrowsecurity AND c.relforcerowsecurity)`),

  'every table has the one policy, for reading and writing, for everybody': () =>
    found(`SELECT c.relname AS found FROM ${IN_PUBLIC} AND NOT EXISTS (
      SELECT FROM pg_policies p WHERE p.schemaname = 'public' AND p.tablename = c.relname AND p.policyname = 'own_rows'
        AND p.permissive = 'PERMISSIVE' AND p.cmd = 'ALL' AND p.roles = '{public}'
        AND p.qual = '${POLICY}' AND p.with_check = '${POLICY}')`),

  // The directory's functions run as the owner; for the program these policies do not exist.
  'nobody but the owner can become the role of retention, which logs in nowhere and owns eight functions': () =>
    found(`SELECT m.member::regrole::text AS found FROM pg_auth_members m
        WHERE m.roleid = '${RETENTION}'::regrole AND m.member <> 'countersign_owner'::regrole
      UNION ALL SELECT rolname FROM pg_roles WHERE rolname = '${RETENTION}'
        AND (rolcanlogin OR rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication)
      UNION ALL SELECT p.oid::regprocedure::text FROM pg_proc p
        WHERE p.proowner = '${RETENTION}'::regrole AND p.proname NOT IN ('drop_audit', 'erase_payloads', 'sweep', 'forget_answered',
          'forget_old', 'erase_rows', 'erase_person', 'forget_bare_threads')
      UNION ALL SELECT relname FROM pg_class WHERE relowner = '${RETENTION}'::regrole`),

  'only the role of retention takes anything from the chain, and then entries or words; and rows whose time is over':
    () =>
      found(`SELECT grantee || ' ' || privilege_type || ' ' || column_name AS found FROM information_schema.column_privileges
        WHERE table_name IN ('autonomous_operations_audit', 'audit_checkpoints') AND grantee <> 'countersign_owner'
          AND privilege_type <> 'SELECT' AND NOT (grantee = '${RETENTION}' AND privilege_type = 'UPDATE' AND column_name = 'payload')
      UNION ALL SELECT grantee || ' ' || privilege_type FROM information_schema.role_table_grants
        WHERE table_schema = 'public' AND grantee = '${RETENTION}' AND privilege_type NOT IN ('SELECT', 'DELETE')
      UNION ALL SELECT grantee || ' ' || privilege_type || ' ' || table_name FROM information_schema.role_table_grants
        WHERE table_schema = 'public' AND grantee = '${RETENTION}' AND privilege_type = 'DELETE'
          AND table_name IN ('customers', 'customer_keys', 'audit_heads', 'audit_checkpoints', 'erasures', 'autonomous_credentials', '_prisma_migrations')`),

  'the role of retention changes what says who somebody is, and what they wrote, and nothing else': () =>
    found(`SELECT table_name || '.' || column_name AS found FROM information_schema.column_privileges
      WHERE table_schema = 'public' AND grantee = '${RETENTION}' AND privilege_type = 'UPDATE'
        AND table_name || '.' || column_name NOT IN ('autonomous_operations_audit.payload', 'members.user_id', 'members.name',
          'threads.ref', 'threads.awaiting', 'threads.cursor', 'autonomous_consent.ip_address', 'autonomous_consent.user_agent',
          'autonomous_operations.error_message', 'operation_steps.note')`),

  'whatever table there is, its rows can be erased': () =>
    found(`SELECT c.relname AS found FROM ${IN_PUBLIC} AND c.relname NOT IN ('customers', 'customer_keys', 'autonomous_operations_audit',
        'audit_heads', 'audit_checkpoints', 'erasures', 'autonomous_credentials')
      AND NOT (has_table_privilege('${RETENTION}', c.oid, 'SELECT') AND has_table_privilege('${RETENTION}', c.oid, 'DELETE'))`),

  'no other policy shows rows to the program': () =>
    found(`SELECT tablename || ' ' || policyname AS found FROM pg_policies WHERE policyname <> 'own_rows'
      AND NOT (policyname = 'directory' AND cmd = 'SELECT' AND roles = '{countersign_owner}')`),

  'customers are the first column of every primary key': () =>
    found(`SELECT c.relname AS found FROM ${IN_PUBLIC} AND NOT EXISTS (
      SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
      WHERE i.indrelid = c.oid AND i.indisprimary AND a.attname = 'customer_id')`),

  // Names from outside that lead to a customer have to be unique over all of them: a workspace belongs to one customer,
  // and the hash of the 256 random bits of a link or a token tells nobody anything.
  'no unique index tells one customer of another': () =>
    found(`SELECT i.indexrelid::regclass::text AS found FROM pg_index i JOIN ${IN_PUBLIC.replace('WHERE', 'ON i.indrelid = c.oid WHERE')}
      AND i.indisunique AND NOT EXISTS (
        SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = i.indkey[0] AND a.attname = 'customer_id')
      AND i.indexrelid::regclass::text NOT IN ('workspaces_platform_workspace_id_key', 'connect_links_token_hash_key', 'api_tokens_token_hash_key',
        'console_sessions_link_hash_key', 'console_sessions_session_hash_key')`),

  'every foreign key takes the customer along, and none erases by itself': () =>
    found(`SELECT k.conname AS found FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace
      WHERE k.contype = 'f' AND n.nspname = 'public' AND NOT (k.confdeltype = 'r' AND EXISTS (
        SELECT FROM unnest(k.conkey, k.confkey) AS pair (mine, theirs)
        JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = mine
        JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = theirs
        WHERE a.attname = 'customer_id' AND b.attname = 'customer_id'))`),

  'the program owns nothing': () =>
    found(`SELECT o.kind || ' ' || o.name AS found FROM (
        SELECT 'relation' AS kind, relname::text AS name, relowner AS role FROM pg_class
        UNION ALL SELECT 'function', proname, proowner FROM pg_proc
        UNION ALL SELECT 'schema', nspname, nspowner FROM pg_namespace
        UNION ALL SELECT 'type', typname, typowner FROM pg_type
        UNION ALL SELECT 'database', datname, datdba FROM pg_database
        UNION ALL SELECT 'default privilege', defaclobjtype::text, defaclrole FROM pg_default_acl) o
      WHERE o.role = ANY (SELECT oid FROM pg_roles WHERE rolname IN ('${ROLES.join("', '")}'))`),

  'the program is no superuser, passes no policy by, and makes no roles or databases': () =>
    found(`SELECT rolname::text AS found FROM pg_roles WHERE rolname IN ('${ROLES.join("', '")}')
      AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication)`),

  'the program is a member of its group, and of nothing else': () =>
    found(`SELECT m.roleid::regrole::text AS found FROM pg_auth_members m
      WHERE m.member IN (SELECT oid FROM pg_roles WHERE rolname IN ('${ROLES.join("', '")}'))
        AND NOT (m.roleid = 'countersign_program'::regrole AND m.member = 'countersign'::regrole)`),

  'nobody but the owner may empty, refer to or put triggers on a table': () =>
    found(`SELECT table_name || ' ' || grantee || ' ' || privilege_type AS found FROM information_schema.role_table_grants
      WHERE table_schema IN ('public', 'sec', 'app', 'directory', 'pgboss') AND grantee <> 'countersign_owner'
        AND privilege_type NOT IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')`),

  'no right at all goes to everybody, or to the login by name': () =>
    found(`SELECT table_name || ' ' || grantee AS found FROM information_schema.role_table_grants
      WHERE table_schema IN ('public', 'sec', 'app', 'directory', 'pgboss') AND grantee IN ('PUBLIC', 'countersign')`),

  'the program deletes sign-in secrets, and nothing else of ours': () =>
    found(`SELECT table_name::text AS found FROM information_schema.role_table_grants
      WHERE table_schema = 'public' AND grantee = 'countersign_program' AND privilege_type = 'DELETE'
        AND table_name <> 'autonomous_credentials'`),

  'the program only reads the chain': () =>
    found(`SELECT table_name || ' ' || privilege_type AS found FROM information_schema.role_table_grants
      WHERE table_schema = 'public' AND grantee = 'countersign_program' AND privilege_type <> 'SELECT'
        AND table_name IN ('autonomous_operations_audit', 'audit_heads', 'audit_checkpoints')`),

  'the program adds to the events of consents, and changes none': () =>
    found(`SELECT privilege_type::text AS found FROM information_schema.role_table_grants
      WHERE table_name = 'consent_events' AND grantee = 'countersign_program' AND privilege_type NOT IN ('SELECT', 'INSERT')
      UNION SELECT column_name FROM information_schema.column_privileges
      WHERE table_name = 'consent_events' AND grantee = 'countersign_program' AND privilege_type = 'UPDATE'`),

  'the program decides a question, and changes nothing else of it': () =>
    found(`SELECT column_name::text AS found FROM information_schema.column_privileges
      WHERE table_name = 'consent_requests' AND grantee = 'countersign_program' AND privilege_type = 'UPDATE'
        AND column_name NOT IN ('decision', 'decided_at', 'decided_by', 'method')`),

  'the program changes nothing of a countersignature but its revocation': () =>
    found(`SELECT column_name::text AS found FROM information_schema.column_privileges
      WHERE table_name = 'autonomous_consent' AND grantee = 'countersign_program' AND privilege_type = 'UPDATE'
        AND column_name NOT IN ('revoked_at', 'revoked_by')`),

  'the program changes nothing of whose account a member is, nor of who asked for what, and where': () =>
    found(`SELECT table_name || '.' || column_name AS found FROM information_schema.column_privileges
      WHERE table_schema = 'public' AND grantee = 'countersign_program' AND privilege_type = 'UPDATE' AND (
        (table_name = 'members' AND column_name NOT IN ('name', 'roles', 'person_id'))
        OR (table_name = 'threads' AND column_name NOT IN ('awaiting', 'cursor'))
        OR (table_name = 'autonomous_operations' AND column_name IN ('customer_id', 'id', 'thread_id', 'user_id', 'retry_of', 'service', 'operation',
          'target', 'workflow_id', 'workflow_version', 'total_steps', 'created_at')))`),

  'the program changes nothing of an API token but its last use and its revocation': () =>
    found(`SELECT column_name::text AS found FROM information_schema.column_privileges
      WHERE table_name = 'api_tokens' AND grantee = 'countersign_program' AND privilege_type = 'UPDATE'
        AND column_name NOT IN ('last_used_at', 'revoked_at')`),

  'the program changes nothing of whose session of the console it is': () =>
    found(`SELECT column_name::text AS found FROM information_schema.column_privileges
      WHERE table_name = 'console_sessions' AND grantee = 'countersign_program' AND privilege_type = 'UPDATE'
        AND column_name NOT IN ('session_hash', 'roles', 'opened_at', 'expires_at', 'last_used_at', 'ended_at')`),

  'the program changes nothing of what a sealed secret is bound to': () =>
    found(`SELECT column_name::text AS found FROM information_schema.column_privileges
      WHERE table_name = 'autonomous_credentials' AND grantee = 'countersign_program' AND privilege_type = 'UPDATE'
        AND column_name IN ('customer_id', 'id', 'service', 'target', 'credential_type', 'operation_id', 'created_at')`),

  'the program can not see the keys of contexts, nor the list of migrations': () =>
    found(`SELECT c.relname || ' ' || right_ AS found FROM pg_class c, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) right_
      WHERE c.oid IN ('sec.context_key'::regclass, '_prisma_migrations'::regclass)
        AND has_table_privilege('countersign', c.oid, right_)`),

  'nobody but the owner makes anything in our schemas': () =>
    found(`SELECT n.nspname || ' ' || r.rolname AS found FROM pg_namespace n, pg_roles r
      WHERE ${OURS} AND r.rolname IN ('${ROLES.join("', '")}') AND has_schema_privilege(r.oid, n.oid, 'CREATE')`),

  'every function that runs with the rights of its owner pins its search path, temporary tables last': () =>
    found(`SELECT p.oid::regprocedure::text AS found FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
      WHERE ${OURS} AND p.prosecdef
        AND NOT coalesce(p.proconfig @> ARRAY['search_path=pg_catalog, pg_temp'], false)`),

  'every function of a trigger pins its search path, too': () =>
    found(`SELECT p.oid::regprocedure::text AS found FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
      WHERE n.nspname IN ('app', 'sec', 'public') AND p.prorettype = 'trigger'::regtype
        AND NOT coalesce(p.proconfig @> ARRAY['search_path=pg_catalog, pg_temp'], false)`),

  'no function is for everybody': () =>
    found(`SELECT p.oid::regprocedure::text AS found FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
      WHERE ${OURS} AND (p.proacl IS NULL OR EXISTS (
        SELECT FROM aclexplode(p.proacl) acl WHERE acl.grantee = 0 AND acl.privilege_type = 'EXECUTE'))`),

  // Functions of schema directory answer without a context: whatever they give away, they give to everyone who has
  // the program's connection. So they give ids.
  'the directory gives ids and nothing else': () =>
    found(`SELECT p.oid::regprocedure::text AS found FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
      WHERE n.nspname = 'directory' AND (p.prorettype <> 'uuid'::regtype OR p.proargmodes IS NOT NULL)`),

  // Whatever runs with the owner's rights has been thought about by name: a context's making and checking, the one way to
  // the chain, the directory; a checkpoint's place on record, how old an entry must be, the functions that take
  // away, and everybody's pause; and how many operations are open and how keys fare, in numbers alone.
  'nothing else runs with the rights of its owner': () =>
    found(`SELECT p.oid::regprocedure::text AS found FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
      WHERE ${OURS} AND p.prosecdef AND n.nspname <> 'directory' AND p.oid::regprocedure::text NOT IN (
        'sec.bound(text)', 'sec.customer()', 'sec.enter(uuid,bigint,bytea)', 'sec.refuse_unvouched(text)', 'app.append_audit(text,bytea)',
        'app.record_checkpoint(bigint,bytea,text)', 'app.audit_days(integer)', 'app.drop_audit(text)', 'app.erase_payloads(text)',
        'app.sweep(text)', 'app.forget_answered()', 'app.forget_old(text)', 'app.erase_rows(integer)', 'app.erase_person(text)', 'app.forget_bare_threads()', 'app.open_operations()', 'app.connections_by_state()', 'app.standstill()', 'app.hold_standstill()', 'app.set_standstill(text)')`),

  'no view shows rows with the rights of its owner': () =>
    found(`SELECT c.oid::regclass::text AS found FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE ${OURS} AND (c.relkind = 'm' OR (c.relkind = 'v' AND NOT coalesce(c.reloptions @> ARRAY['security_invoker=true'], false)))`),

  // A foreign table knows no policy, a sequence counts for everybody, a rule makes another statement of the one that was sent.
  'nothing lies beside the tables that a policy does not reach': () =>
    found(`SELECT c.relname::text AS found FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname IN ('public', 'app', 'sec', 'directory') AND c.relkind IN ('f', 'S')
      UNION ALL SELECT r.rulename FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE ${OURS} AND r.rulename <> '_RETURN'
      UNION ALL SELECT 'large object ' || oid FROM pg_largeobject_metadata`),

  'no samples are kept of what stands in a table: estimates would tell of them': () =>
    found(`SELECT c.relname || '.' || a.attname AS found FROM pg_attribute a JOIN ${IN_PUBLIC.replace('WHERE', 'ON c.oid = a.attrelid WHERE')}
      AND a.attnum > 0 AND NOT a.attisdropped AND coalesce(a.attstattarget, -1) <> 0
      UNION ALL SELECT stxname FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace WHERE ${OURS}`),

  'nobody but the owner makes temporary tables': () =>
    found(`SELECT r.rolname::text AS found FROM pg_roles r
      WHERE r.rolname IN ('${ROLES.join("', '")}') AND has_database_privilege(r.oid, current_database(), 'TEMPORARY')`),

  'nothing but the one clock is asked for the time': () =>
    found(`SELECT what AS found FROM (
        SELECT c.relname || '.' || a.attname AS what, pg_get_expr(d.adbin, d.adrelid) AS text
        FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum JOIN ${IN_PUBLIC.replace('WHERE', 'ON c.oid = d.adrelid WHERE')}
        UNION ALL SELECT p.oid::regprocedure::text, p.prosrc FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname IN ('app', 'directory', 'public') AND p.proname NOT IN ('now', 'clock')) s
      WHERE s.text ~* '(^|[^.a-z_])(now\\(\\)|clock_timestamp|current_timestamp|localtimestamp|statement_timestamp|transaction_timestamp)'`),

  'audit and events refuse every change, for every statement': () =>
    found(`SELECT kept.name AS found FROM (VALUES ('autonomous_operations_audit'), ('audit_checkpoints'), ('consent_events')) kept (name) WHERE NOT EXISTS (
      SELECT FROM pg_trigger t WHERE t.tgrelid = kept.name::regclass AND t.tgname = 'append_only'
        AND t.tgenabled = 'O' AND t.tgfoid = 'app.refuse_change'::regproc
        AND t.tgtype & 1 = 0 AND t.tgtype & 2 = 2 AND t.tgtype & 56 = 56)`), // a statement's; before; delete, update, truncate
};

describe('22 in the catalogue', () => {
  test.each(Object.entries(rules))('%s', async (_, rule) => {
    expect(await rule()).toEqual([]);
  });
});

/** Each of these is a slip that a migration could bring; the rule beside it has to find it. */
const slips: readonly [rule: string, statement: string, finding: string][] = [
  ['every table says whose its rows are', 'CREATE TABLE slip (id int)', 'slip'],
  ['every table says whose its rows are', 'CREATE TABLE slip (customer_id uuid)', 'slip'],
  ['every table has row level security, forced', 'CREATE TABLE slip (customer_id uuid NOT NULL)', 'slip'],
  ['every table has row level security, forced', 'ALTER TABLE members NO FORCE ROW LEVEL SECURITY', 'members'],
  ['every table has row level security, forced', 'ALTER TABLE members DISABLE ROW LEVEL SECURITY', 'members'],
  [
    'every table has the one policy, for reading and writing, for everybody',
    'DROP POLICY own_rows ON threads',
    'threads',
  ],
  [
    'every table has the one policy, for reading and writing, for everybody',
    'ALTER POLICY own_rows ON threads WITH CHECK (true)',
    'threads',
  ],
  ['no other policy shows rows to the program', 'CREATE POLICY more ON threads USING (true)', 'threads more'],
  ['no other policy shows rows to the program', 'ALTER POLICY directory ON threads TO PUBLIC', 'threads directory'],
  [
    'customers are the first column of every primary key',
    'CREATE TABLE slip (customer_id uuid NOT NULL, id int PRIMARY KEY)',
    'slip',
  ],
  ['no unique index tells one customer of another', 'CREATE UNIQUE INDEX slip ON members (user_id)', 'slip'],
  [
    'no unique index tells one customer of another',
    'CREATE UNIQUE INDEX slip ON members (user_id, customer_id)',
    'slip',
  ],
  [
    'every foreign key takes the customer along, and none erases by itself',
    'ALTER TABLE threads ADD UNIQUE (id); ALTER TABLE thread_messages ADD CONSTRAINT slip FOREIGN KEY (thread_id) REFERENCES threads (id) ON DELETE RESTRICT',
    'slip',
  ],
  [
    'every foreign key takes the customer along, and none erases by itself',
    'ALTER TABLE thread_messages ADD CONSTRAINT slip FOREIGN KEY (customer_id, thread_id) REFERENCES threads (customer_id, id) ON DELETE CASCADE',
    'slip',
  ],
  ['the program owns nothing', 'ALTER TABLE members OWNER TO countersign_program', 'relation members'],
  ['the program owns nothing', 'ALTER FUNCTION sec.customer() OWNER TO countersign', 'function customer'],
  [
    'the program is no superuser, passes no policy by, and makes no roles or databases',
    'ALTER ROLE countersign BYPASSRLS',
    'countersign',
  ],
  [
    'the program is a member of its group, and of nothing else',
    'GRANT countersign_owner TO countersign',
    'countersign_owner',
  ],
  [
    'nobody but the owner may empty, refer to or put triggers on a table',
    'GRANT TRUNCATE ON screenshots TO countersign_program',
    'screenshots countersign_program TRUNCATE',
  ],
  [
    'nobody but the owner may empty, refer to or put triggers on a table',
    'GRANT ALL ON screenshots TO countersign_program',
    'screenshots countersign_program REFERENCES',
  ],
  ['no right at all goes to everybody, or to the login by name', 'GRANT SELECT ON members TO PUBLIC', 'members PUBLIC'],
  [
    'no right at all goes to everybody, or to the login by name',
    'GRANT SELECT ON members TO countersign',
    'members countersign',
  ],
  [
    'the program deletes sign-in secrets, and nothing else of ours',
    'GRANT DELETE ON members TO countersign_program',
    'members',
  ],
  [
    'the program only reads the chain',
    'GRANT INSERT ON autonomous_operations_audit TO countersign_program',
    'autonomous_operations_audit INSERT',
  ],
  [
    'nobody but the owner can become the role of retention, which logs in nowhere and owns eight functions',
    'GRANT countersign_retention TO countersign_program',
    'countersign_program',
  ],
  [
    'nobody but the owner can become the role of retention, which logs in nowhere and owns eight functions',
    'ALTER ROLE countersign_retention LOGIN',
    'countersign_retention',
  ],
  [
    'only the role of retention takes anything from the chain, and then entries or words; and rows whose time is over',
    'GRANT UPDATE (header) ON autonomous_operations_audit TO countersign_retention',
    'countersign_retention UPDATE header',
  ],
  [
    'only the role of retention takes anything from the chain, and then entries or words; and rows whose time is over',
    'GRANT DELETE ON audit_checkpoints TO countersign_retention',
    'countersign_retention DELETE audit_checkpoints',
  ],
  [
    'the role of retention changes what says who somebody is, and what they wrote, and nothing else',
    'GRANT UPDATE (roles) ON members TO countersign_retention',
    'members.roles',
  ],
  ['whatever table there is, its rows can be erased', 'CREATE TABLE slip (customer_id uuid NOT NULL)', 'slip'],
  [
    'audit and events refuse every change, for every statement',
    'DROP TRIGGER append_only ON audit_checkpoints',
    'audit_checkpoints',
  ],
  [
    'the program changes nothing of a countersignature but its revocation',
    'GRANT UPDATE (permissions) ON autonomous_consent TO countersign_program',
    'permissions',
  ],
  [
    'the program changes nothing of whose account a member is, nor of who asked for what, and where',
    'GRANT UPDATE ON threads TO countersign_program',
    'threads.workspace_id',
  ],
  [
    'the program changes nothing of an API token but its last use and its revocation',
    'GRANT UPDATE (scopes) ON api_tokens TO countersign_program',
    'scopes',
  ],
  [
    'the program changes nothing of whose session of the console it is',
    'GRANT UPDATE (member_id) ON console_sessions TO countersign_program',
    'member_id',
  ],
  [
    'the program adds to the events of consents, and changes none',
    'GRANT UPDATE (kind) ON consent_events TO countersign_program',
    'kind',
  ],
  [
    'the program decides a question, and changes nothing else of it',
    'GRANT UPDATE (widened) ON consent_requests TO countersign_program',
    'widened',
  ],
  [
    'audit and events refuse every change, for every statement',
    'ALTER TABLE consent_events DISABLE TRIGGER append_only',
    'consent_events',
  ],
  [
    'the program changes nothing of what a sealed secret is bound to',
    'GRANT UPDATE ON autonomous_credentials TO countersign_program',
    'target',
  ],
  [
    'the program can not see the keys of contexts, nor the list of migrations',
    'GRANT SELECT ON sec.context_key TO countersign_program',
    'context_key SELECT',
  ],
  [
    'nobody but the owner makes anything in our schemas',
    'GRANT CREATE ON SCHEMA app TO countersign_program',
    'app countersign',
  ],
  [
    'every function that runs with the rights of its owner pins its search path, temporary tables last',
    'ALTER FUNCTION sec.customer() RESET search_path',
    'sec.customer()',
  ],
  [
    'every function that runs with the rights of its owner pins its search path, temporary tables last',
    'ALTER FUNCTION sec.customer() SET search_path = public',
    'sec.customer()',
  ],
  [
    'every function that runs with the rights of its owner pins its search path, temporary tables last',
    'CREATE FUNCTION app.slip() RETURNS int LANGUAGE sql SECURITY DEFINER RETURN 1',
    'app.slip()',
  ],
  [
    'every function of a trigger pins its search path, too',
    'ALTER FUNCTION app.refuse_change() RESET search_path',
    'app.refuse_change()',
  ],
  [
    'no function is for everybody',
    'GRANT EXECUTE ON FUNCTION sec.hmac(bytea, bytea, text) TO PUBLIC',
    'sec.hmac(bytea,bytea,text)',
  ],
  [
    'the directory gives ids and nothing else',
    'CREATE FUNCTION directory.slip() RETURNS text LANGUAGE sql RETURN 1',
    'directory.slip()',
  ],
  [
    'nothing else runs with the rights of its owner',
    'CREATE FUNCTION app.slip() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp RETURN 1',
    'app.slip()',
  ],
  [
    'nothing lies beside the tables that a policy does not reach',
    'CREATE RULE slip AS ON INSERT TO members DO ALSO NOTIFY slip',
    'slip',
  ],
  ['nothing lies beside the tables that a policy does not reach', 'CREATE SEQUENCE slip', 'slip'],
  [
    'nothing lies beside the tables that a policy does not reach',
    'CREATE FOREIGN DATA WRAPPER slip; CREATE SERVER slip FOREIGN DATA WRAPPER slip; CREATE FOREIGN TABLE slip (n int) SERVER slip',
    'slip',
  ],
  ['nothing lies beside the tables that a policy does not reach', "SELECT lo_from_bytea(77, 'x')", 'large object 77'],
  [
    'no samples are kept of what stands in a table: estimates would tell of them',
    'ALTER TABLE members ADD slip text',
    'members.slip',
  ],
  [
    'no samples are kept of what stands in a table: estimates would tell of them',
    'CREATE STATISTICS slip ON name, user_id FROM members',
    'slip',
  ],
  [
    'nobody but the owner makes temporary tables',
    'DO $$ BEGIN EXECUTE format($sql$GRANT TEMPORARY ON DATABASE %I TO PUBLIC$sql$, current_database()); END $$',
    'countersign',
  ],
  [
    'every table has row level security, forced',
    'CREATE TABLE slip (customer_id uuid NOT NULL) PARTITION BY LIST (customer_id); ALTER TABLE slip ENABLE ROW LEVEL SECURITY; ALTER TABLE slip FORCE ROW LEVEL SECURITY; CREATE TABLE slip_1 PARTITION OF slip DEFAULT',
    'slip_1',
  ],
  ['no view shows rows with the rights of its owner', 'CREATE VIEW slip AS SELECT * FROM members', 'slip'],
  [
    'nothing but the one clock is asked for the time',
    'ALTER TABLE members ALTER created_at SET DEFAULT now()',
    'members.created_at',
  ],
  [
    'nothing but the one clock is asked for the time',
    "CREATE FUNCTION app.slip() RETURNS timestamptz LANGUAGE sql AS 'SELECT now()'",
    'app.slip()',
  ],
  [
    'audit and events refuse every change, for every statement',
    'ALTER TABLE autonomous_operations_audit DISABLE TRIGGER append_only',
    'autonomous_operations_audit',
  ],
  [
    'audit and events refuse every change, for every statement',
    'DROP TRIGGER append_only ON autonomous_operations_audit',
    'autonomous_operations_audit',
  ],
];

describe('22 a slip is found', () => {
  test('by each of the rules', () => {
    expect(new Set(slips.map(([rule]) => rule))).toEqual(new Set(Object.keys(rules)));
  });

  test.each(slips)('%s: %s', async (rule, statement, finding) => {
    await admin.query('BEGIN');
    try {
      await admin.query(statement);
      expect(await rules[rule]?.()).toContain(finding);
    } finally {
      await admin.query('ROLLBACK');
    }
  });
});

describe('23 a partition', () => {
  test('is none of our tables', async () => {
    expect(
      await found(`SELECT c.relname::text AS found FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE ${OURS} AND n.nspname <> 'pgboss' AND (c.relispartition OR c.relkind = 'p')`),
    ).toEqual([]);
  });

  test('would be read past the policy of its parent, so the rule above has to find it before anybody does', async () => {
    const customerId = newUuid();
    await admin.query('BEGIN');
    try {
      await admin.query(`
        CREATE TABLE slip (customer_id uuid NOT NULL, id int, PRIMARY KEY (customer_id, id)) PARTITION BY LIST (customer_id);
        ALTER TABLE slip ENABLE ROW LEVEL SECURITY;
        ALTER TABLE slip FORCE ROW LEVEL SECURITY;
        CREATE POLICY own_rows ON slip USING (customer_id = (SELECT sec.customer())) WITH CHECK (customer_id = (SELECT sec.customer()));
        CREATE TABLE slip_1 PARTITION OF slip DEFAULT;
        GRANT SELECT ON slip, slip_1 TO countersign_program;
        INSERT INTO slip VALUES ('${customerId}', 1);`);
      const faults = await rules['every table has row level security, forced']?.();
      const policies = await rules['every table has the one policy, for reading and writing, for everybody']?.();
      await admin.query('SET LOCAL ROLE countersign');
      expect((await admin.query('SELECT FROM slip')).rowCount).toBe(0);
      expect((await admin.query('SELECT FROM slip_1')).rowCount).toBe(1); // what the attack gains
      expect([faults, policies]).toEqual([['slip_1'], ['slip_1']]);
      await admin.query('RESET ROLE');
      await admin.query(`
        ALTER TABLE slip_1 ENABLE ROW LEVEL SECURITY;
        ALTER TABLE slip_1 FORCE ROW LEVEL SECURITY;
        CREATE POLICY own_rows ON slip_1 USING (customer_id = (SELECT sec.customer())) WITH CHECK (customer_id = (SELECT sec.customer()));`);
      await admin.query('SET LOCAL ROLE countersign');
      expect((await admin.query('SELECT FROM slip_1')).rowCount).toBe(0);
    } finally {
      await admin.query('ROLLBACK');
    }
  });
});
