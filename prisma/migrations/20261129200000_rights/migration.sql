-- What ages goes, with its trail; a customer, or a person, is erased; a legal hold keeps all of one operation.

-- An entry outlives the operation that it is about: of an erased customer the chain alone stays, and an operation whose trail
-- is gone goes, too. That it is about an operation of the same customer is looked at as it is written.
-- DropForeignKey
ALTER TABLE "autonomous_operations_audit" DROP CONSTRAINT "autonomous_operations_audit_customer_id_operation_id_fkey";

CREATE FUNCTION app.keep_reference() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM public.autonomous_operations o WHERE o.customer_id = NEW.customer_id AND o.id = NEW.operation_id) THEN
    RAISE EXCEPTION 'there is no such operation' USING ERRCODE = 'foreign_key_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER keep_reference BEFORE INSERT ON autonomous_operations_audit FOR EACH ROW
  WHEN (NEW.operation_id IS NOT NULL) EXECUTE FUNCTION app.keep_reference();

-- Erasures: how far each has come, so that one that was killed is taken up, and its receipt.
-- CreateTable
CREATE TABLE "erasures" (
    "customer_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "member_id" UUID,
    "state" VARCHAR(20) NOT NULL,
    "gone" BIGINT NOT NULL DEFAULT 0,
    "begun_at" TIMESTAMPTZ(3) NOT NULL DEFAULT app.now(),
    "finished_at" TIMESTAMPTZ(3),
    "receipt" TEXT,

    CONSTRAINT "erasures_pkey" PRIMARY KEY ("customer_id","id")
);

-- AddForeignKey
ALTER TABLE "erasures" ADD CONSTRAINT "erasures_customer_id_fkey" FOREIGN KEY ("customer_id") REFERENCES "customers"("customer_id") ON DELETE RESTRICT ON UPDATE CASCADE;

ALTER TABLE erasures
  ADD CONSTRAINT erasures_state_check CHECK (state IN ('begun', 'platforms', 'keys', 'rows', 'space', 'finished')),
  ADD CONSTRAINT erasures_finished_check CHECK ((state = 'finished') = (finished_at IS NOT NULL) AND (state = 'finished') = (receipt IS NOT NULL));
-- One of each customer, and of each person, is under way at a time.
CREATE UNIQUE INDEX erasures_open_key ON erasures (customer_id, coalesce(member_id, '00000000-0000-0000-0000-000000000000'))
  WHERE finished_at IS NULL;

DO $$
DECLARE
  c record;
BEGIN
  ALTER TABLE erasures ENABLE ROW LEVEL SECURITY;
  ALTER TABLE erasures FORCE ROW LEVEL SECURITY;
  CREATE POLICY own_rows ON erasures USING (customer_id = (SELECT sec.customer())) WITH CHECK (customer_id = (SELECT sec.customer()));
  -- No samples for the planner: estimates would tell of other customers.
  FOR c IN SELECT a.attname AS name FROM pg_attribute a WHERE a.attrelid = 'erasures'::regclass AND a.attnum > 0 LOOP
    EXECUTE format('ALTER TABLE erasures ALTER COLUMN %I SET STATISTICS 0', c.name);
  END LOOP;
END $$;
GRANT SELECT, INSERT, UPDATE (state, gone, finished_at, receipt) ON erasures TO countersign_program;

-- Legal holds of single operations -----------------------------------------------------------------------------------

CREATE INDEX autonomous_operations_audit_holds_idx ON autonomous_operations_audit (customer_id, operation_id, seq)
  WHERE kind IN ('hold.operation_placed', 'hold.operation_released');

CREATE FUNCTION app.held_operations(customer uuid) RETURNS SETOF text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT h.operation_id FROM (
    SELECT DISTINCT ON (a.operation_id) a.operation_id, a.kind FROM public.autonomous_operations_audit a
    WHERE a.customer_id = customer AND a.kind IN ('hold.operation_placed', 'hold.operation_released')
    ORDER BY a.operation_id, a.seq DESC) h
  WHERE h.kind = 'hold.operation_placed'
$$;
REVOKE ALL ON FUNCTION app.held_operations(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.held_operations(uuid) TO countersign_program, countersign_retention;

-- Whatever takes entries or words takes none of a held operation. The entry that placed the hold may be among them.
CREATE FUNCTION app.keep_held() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF EXISTS (SELECT FROM gone g WHERE g.operation_id IN (SELECT app.held_operations(g.customer_id)))
    OR EXISTS (SELECT FROM gone g WHERE g.kind = 'hold.operation_placed'
      AND NOT EXISTS (SELECT FROM gone r WHERE r.operation_id = g.operation_id AND r.seq > g.seq AND r.kind = 'hold.operation_released')
      AND NOT EXISTS (SELECT FROM public.autonomous_operations_audit r WHERE r.customer_id = g.customer_id
        AND r.operation_id = g.operation_id AND r.seq > g.seq AND r.kind = 'hold.operation_released')) THEN
    RAISE EXCEPTION 'a legal hold keeps this operation as it is' USING ERRCODE = 'check_violation', CONSTRAINT = 'legal_hold';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER keep_held AFTER DELETE ON autonomous_operations_audit REFERENCING OLD TABLE AS gone
  FOR EACH STATEMENT EXECUTE FUNCTION app.keep_held();
CREATE TRIGGER keep_held_words AFTER UPDATE ON autonomous_operations_audit REFERENCING OLD TABLE AS gone
  FOR EACH STATEMENT EXECUTE FUNCTION app.keep_held();

-- A picture of one is passed by: what sweeps goes on with the others.
CREATE FUNCTION app.keep_held_picture() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF OLD.operation_id IN (SELECT app.held_operations(OLD.customer_id)) THEN RETURN NULL; END IF;
  RETURN OLD;
END $$;
CREATE TRIGGER keep_held BEFORE DELETE ON screenshots FOR EACH ROW EXECUTE FUNCTION app.keep_held_picture();
REVOKE ALL ON FUNCTION app.keep_reference(), app.keep_held(), app.keep_held_picture() FROM PUBLIC;

-- What the role of retention may -----------------------------------------------------------------------------------------

-- Rows of every table but the chain, the keys and what says that somebody was erased; of tables to come as well, so that no
-- erasure leaves one out.
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, DELETE ON TABLES TO countersign_retention;
DO $$
DECLARE
  t text;
BEGIN
  FOR t IN SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
    AND c.relname NOT IN ('customers', 'customer_keys', 'autonomous_operations_audit', 'audit_heads', 'audit_checkpoints', 'erasures',
      'autonomous_credentials', '_prisma_migrations') LOOP
    EXECUTE format('GRANT SELECT, DELETE ON %I TO countersign_retention', t);
  END LOOP;
END $$;
REVOKE ALL ON erasures FROM countersign_retention;
GRANT SELECT (customer_id, erased_at) ON customers TO countersign_retention;
GRANT SELECT (customer_id, operation_id, credential_metadata) ON autonomous_credentials TO countersign_retention;
GRANT UPDATE (user_id, name) ON members TO countersign_retention;
GRANT UPDATE (ref, awaiting, cursor) ON threads TO countersign_retention;
GRANT UPDATE (ip_address, user_agent) ON autonomous_consent TO countersign_retention;
GRANT UPDATE (error_message) ON autonomous_operations TO countersign_retention;
GRANT UPDATE (note) ON operation_steps TO countersign_retention;

-- What is over for longer than `days` (and than sec.retention says): one-time links, sessions of the console, API tokens, webhooks
-- that were removed, installations that were cleared, limits, what was learned of pages; operations whose trail is gone, with all
-- that is theirs, unless a key that is stored, a countersignature that holds, or something newer rests on them; threads that no
-- operation is about. Nothing of a held operation, and nothing at all under a hold of the customer. `gone`: how many rows.
CREATE FUNCTION app.forget_old(header text, OUT seq bigint, OUT hash bytea, OUT gone bigint) LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  customer uuid := sec.customer();
  fields jsonb := header::jsonb;
  before timestamptz := app.now() - make_interval(days => app.audit_days((fields ->> 'days')::int));
  kept text[] := ARRAY(SELECT app.held_operations(customer));
  op text;
  aged record;
  child text;
  part bigint;
BEGIN
  gone := 0;
  IF fields ->> 'kind' IS DISTINCT FROM 'retention.forgotten' THEN
    RAISE EXCEPTION 'what is forgotten is said to be' USING ERRCODE = 'check_violation';
  END IF;
  DELETE FROM public.connect_links l WHERE l.customer_id = customer AND l.expires_at < before AND l.operation_id <> ALL (kept);
  GET DIAGNOSTICS part = ROW_COUNT;
  gone := gone + part;
  DELETE FROM public.console_sessions s WHERE s.customer_id = customer AND coalesce(s.ended_at, s.expires_at, s.link_expires_at) < before;
  GET DIAGNOSTICS part = ROW_COUNT;
  gone := gone + part;
  DELETE FROM public.api_tokens t WHERE t.customer_id = customer AND least(t.revoked_at, t.expires_at) < before
    AND NOT EXISTS (SELECT FROM public.api_answers n WHERE n.customer_id = customer AND n.token_id = t.id);
  GET DIAGNOSTICS part = ROW_COUNT;
  gone := gone + part;
  DELETE FROM public.webhooks w WHERE w.customer_id = customer AND w.removed_at < before;
  GET DIAGNOSTICS part = ROW_COUNT;
  gone := gone + part;
  DELETE FROM public.slack_installations i WHERE i.customer_id = customer AND i.cleared_at < before;
  GET DIAGNOSTICS part = ROW_COUNT;
  gone := gone + part;
  DELETE FROM public.limits l WHERE l.customer_id = customer AND l.at < before;
  GET DIAGNOSTICS part = ROW_COUNT;
  gone := gone + part;
  DELETE FROM public.workflow_proposals p WHERE p.customer_id = customer AND p.last_held_at < before AND p.operation_id <> ALL (kept);
  GET DIAGNOSTICS part = ROW_COUNT;
  gone := gone + part;
  -- Tables to come say by their comment from when on a row of theirs is over: COMMENT ON TABLE … IS 'retention: column'.
  FOR aged IN
    SELECT c.relname::text AS name, substring(obj_description(c.oid, 'pg_class') FROM '^retention: ([a-z_]+)$') AS col,
      EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'operation_id' AND NOT a.attisdropped) AS is_of_operation
    FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
      AND obj_description(c.oid, 'pg_class') ~ '^retention: [a-z_]+$'
  LOOP
    EXECUTE format('DELETE FROM public.%I WHERE customer_id = $1 AND %I < $2', aged.name, aged.col)
      || CASE WHEN aged.is_of_operation THEN ' AND coalesce(operation_id, '''') <> ALL ($3)' ELSE ' AND $3 IS NOT NULL' END
      USING customer, before, kept;
    GET DIAGNOSTICS part = ROW_COUNT;
    gone := gone + part;
  END LOOP;
  FOR op IN
    SELECT o.id FROM public.autonomous_operations o
    WHERE o.customer_id = customer AND o.updated_at < before AND o.id <> ALL (kept)
      AND o.status IN ('completed', 'denied', 'expired', 'cancelled', 'failed')
      AND NOT EXISTS (SELECT FROM public.autonomous_operations_audit a WHERE a.customer_id = customer AND a.operation_id = o.id)
      AND NOT EXISTS (SELECT FROM public.autonomous_credentials c WHERE c.customer_id = customer
        AND (c.operation_id = o.id OR c.credential_metadata ->> 'operationId' = o.id))
      AND NOT EXISTS (SELECT FROM public.autonomous_consent g WHERE g.customer_id = customer AND g.operation_id = o.id
        AND g.revoked_at IS NULL AND coalesce(g.expires_at, 'infinity') > app.now())
      AND NOT EXISTS (SELECT FROM public.screenshots p WHERE p.customer_id = customer AND p.operation_id = o.id AND p.created_at >= before)
    ORDER BY o.created_at DESC LIMIT 1000
  LOOP
    BEGIN
      part := 0;
      FOREACH child IN ARRAY ARRAY['consent_events', 'autonomous_consent', 'consent_requests', 'questions', 'model_calls',
        'operation_intents', 'operation_steps', 'workflow_proposals', 'connect_links', 'screenshots'] LOOP
        EXECUTE format('DELETE FROM public.%I WHERE customer_id = $1 AND operation_id = $2', child) USING customer, op;
      END LOOP;
      DELETE FROM public.autonomous_operations o WHERE o.customer_id = customer AND o.id = op;
      gone := gone + 1;
    EXCEPTION WHEN foreign_key_violation THEN
      NULL; -- something that is still needed names it
    END;
  END LOOP;
  -- A conversation by which people are reached stays as long as it works; it is not made anew.
  DELETE FROM public.thread_messages m USING public.threads t
    WHERE t.customer_id = customer AND m.customer_id = customer AND m.thread_id = t.id AND m.created_at < before AND t.created_at < before
      AND NOT (m.slot = 'reference' AND m.shown = '')
      AND NOT EXISTS (SELECT FROM public.autonomous_operations o WHERE o.customer_id = customer AND o.thread_id = t.id);
  GET DIAGNOSTICS part = ROW_COUNT;
  gone := gone + part;
  DELETE FROM public.threads t WHERE t.customer_id = customer AND t.created_at < before
    AND NOT EXISTS (SELECT FROM public.autonomous_operations o WHERE o.customer_id = customer AND o.thread_id = t.id)
    AND NOT EXISTS (SELECT FROM public.thread_messages m WHERE m.customer_id = customer AND m.thread_id = t.id);
  GET DIAGNOSTICS part = ROW_COUNT;
  gone := gone + part;
  IF gone > 0 THEN
    SELECT a.seq, a.hash INTO seq, hash FROM app.append_audit(header, NULL) a; -- locks the head: a hold came before, or comes after
    PERFORM app.refuse_held(customer);
  END IF;
END $$;

-- The rows of an erased customer, at most `most` of a table at a time, whatever tables there are. @returns how many went; 0: none is
-- left. What keeps another one from going goes first.
CREATE FUNCTION app.erase_rows(most int) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  customer uuid := sec.customer();
  t text;
  part bigint;
  gone bigint := 0;
  tables text[] := ARRAY(
    SELECT c.relname::text FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
      AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'customer_id' AND NOT a.attisdropped)
      AND c.relname NOT IN ('customers', 'customer_keys', 'autonomous_operations_audit', 'audit_heads', 'audit_checkpoints', 'erasures',
        'autonomous_credentials')
    ORDER BY 1);
BEGIN
  IF NOT EXISTS (SELECT FROM public.customers c WHERE c.customer_id = customer AND c.erased_at IS NOT NULL) THEN
    RAISE EXCEPTION 'only an erased customer loses its rows' USING ERRCODE = 'insufficient_privilege';
  END IF;
  PERFORM app.refuse_held(customer);
  IF EXISTS (SELECT app.held_operations(customer)) THEN
    RAISE EXCEPTION 'a legal hold keeps an operation as it is' USING ERRCODE = 'check_violation', CONSTRAINT = 'legal_hold';
  END IF;
  FOREACH t IN ARRAY tables LOOP
    BEGIN
      EXECUTE format('DELETE FROM public.%I WHERE ctid = ANY (ARRAY(SELECT r.ctid FROM public.%I r WHERE r.customer_id = $1 LIMIT $2))', t, t)
        USING customer, most;
      GET DIAGNOSTICS part = ROW_COUNT;
      gone := gone + part;
    EXCEPTION WHEN foreign_key_violation THEN
      BEGIN
        EXECUTE format('DELETE FROM public.%I WHERE customer_id = $1', t) USING customer; -- rows that name each other
        GET DIAGNOSTICS part = ROW_COUNT;
        gone := gone + part;
      EXCEPTION WHEN foreign_key_violation THEN
        NULL; -- those that name it go first
      END;
    END;
  END LOOP;
  IF gone = 0 THEN
    FOREACH t IN ARRAY tables LOOP
      EXECUTE format('SELECT count(*) FROM public.%I WHERE customer_id = $1', t) INTO part USING customer;
      IF part > 0 THEN RAISE EXCEPTION 'rows of % are left', t USING ERRCODE = 'foreign_key_violation'; END IF;
    END LOOP;
  END IF;
  RETURN gone;
END $$;

-- A person: what they are called, whence they come, what they wrote and what lets them in. What was decided stays, by an id that
-- leads to nobody. Their words in the trail are taken before, by app.erase_payloads.
CREATE FUNCTION app.erase_person(header text, OUT seq bigint, OUT hash bytea, OUT gone bigint) LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  customer uuid := sec.customer();
  fields jsonb := header::jsonb;
  person uuid := (fields ->> 'erasedMember')::uuid;
  account text;
  own record;
  part bigint;
BEGIN
  SELECT a.seq, a.hash INTO seq, hash FROM app.append_audit(header, NULL) a;
  PERFORM app.refuse_held(customer);
  SELECT m.user_id INTO account FROM public.members m WHERE m.customer_id = customer AND m.id = person;
  IF fields ->> 'kind' IS DISTINCT FROM 'member.erased' OR account IS NULL THEN
    RAISE EXCEPTION 'the erasure of a person says whose it is' USING ERRCODE = 'check_violation';
  END IF;
  IF EXISTS (SELECT FROM public.autonomous_operations o WHERE o.customer_id = customer AND o.user_id = person
      AND o.id IN (SELECT app.held_operations(customer))) THEN
    RAISE EXCEPTION 'a legal hold keeps an operation of theirs as it is' USING ERRCODE = 'check_violation', CONSTRAINT = 'legal_hold';
  END IF;
  gone := 0;
  DELETE FROM public.api_answers n USING public.api_tokens t
    WHERE n.customer_id = customer AND t.customer_id = customer AND t.id = n.token_id AND t.member_id = person;
  GET DIAGNOSTICS part = ROW_COUNT;
  gone := gone + part;
  DELETE FROM public.api_tokens t WHERE t.customer_id = customer AND t.member_id = person;
  GET DIAGNOSTICS part = ROW_COUNT;
  gone := gone + part;
  DELETE FROM public.connect_links l WHERE l.customer_id = customer AND l.member_id = person;
  GET DIAGNOSTICS part = ROW_COUNT;
  gone := gone + part;
  DELETE FROM public.console_sessions s WHERE s.customer_id = customer AND s.member_id = person;
  GET DIAGNOSTICS part = ROW_COUNT;
  gone := gone + part;
  DELETE FROM public.screenshots s USING public.autonomous_operations o
    WHERE s.customer_id = customer AND o.customer_id = customer AND o.id = s.operation_id AND o.user_id = person;
  GET DIAGNOSTICS part = ROW_COUNT;
  gone := gone + part;
  -- Rows that stand under the person's own id, such as what they chose for themselves: it is part of what makes them the only ones.
  FOR own IN
    SELECT DISTINCT c.relname::text AS name, a.attname::text AS col FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (k.conkey) AND a.attname <> 'customer_id'
      JOIN pg_index i ON i.indrelid = c.oid AND i.indisunique AND a.attnum = ANY (i.indkey::int2[])
    WHERE k.contype = 'f' AND k.confrelid = 'public.members'::regclass
  LOOP
    EXECUTE format('DELETE FROM public.%I WHERE customer_id = $1 AND %I = $2', own.name, own.col) USING customer, person;
    GET DIAGNOSTICS part = ROW_COUNT;
    gone := gone + part;
  END LOOP;
  DELETE FROM public.chat_events e WHERE e.customer_id = customer AND (position(account IN e.event_id) > 0 OR position(person::text IN e.event_id) > 0);
  DELETE FROM public.limits l WHERE l.customer_id = customer AND (position(account IN l.name) > 0 OR position(person::text IN l.name) > 0);
  UPDATE public.threads t SET awaiting = NULL WHERE t.customer_id = customer
    AND (position(account IN t.awaiting::text) > 0 OR position(person::text IN t.awaiting::text) > 0);
  -- Where nobody else asked for anything: nothing is told there any more.
  UPDATE public.threads t SET ref = 'erased ' || t.id, awaiting = NULL, cursor = 9223372036854775807 WHERE t.customer_id = customer
    AND EXISTS (SELECT FROM public.autonomous_operations o WHERE o.customer_id = customer AND o.thread_id = t.id AND o.user_id = person)
    AND NOT EXISTS (SELECT FROM public.autonomous_operations o WHERE o.customer_id = customer AND o.thread_id = t.id AND o.user_id <> person);
  DELETE FROM public.thread_messages m USING public.threads t
    WHERE m.customer_id = customer AND t.customer_id = customer AND t.id = m.thread_id
      AND (starts_with(t.ref, 'erased ') OR position(account IN m.ref) > 0 OR position(account IN m.slot) > 0 OR position(person::text IN m.slot) > 0);
  GET DIAGNOSTICS part = ROW_COUNT;
  gone := gone + part;
  UPDATE public.autonomous_consent g SET ip_address = NULL, user_agent = NULL WHERE g.customer_id = customer AND g.user_id = person;
  UPDATE public.operation_steps s SET note = NULL FROM public.autonomous_operations o
    WHERE s.customer_id = customer AND o.customer_id = customer AND o.id = s.operation_id AND o.user_id = person AND s.note IS NOT NULL;
  UPDATE public.autonomous_operations o SET error_message = NULL WHERE o.customer_id = customer AND o.user_id = person AND o.error_message IS NOT NULL;
  UPDATE public.members m SET name = 'erased', user_id = 'erased ' || person WHERE m.customer_id = customer AND m.id = person;
END $$;

GRANT CREATE ON SCHEMA app TO countersign_retention;
ALTER FUNCTION app.forget_old(text) OWNER TO countersign_retention;
ALTER FUNCTION app.erase_rows(int) OWNER TO countersign_retention;
ALTER FUNCTION app.erase_person(text) OWNER TO countersign_retention;
REVOKE CREATE ON SCHEMA app FROM countersign_retention;
REVOKE ALL ON FUNCTION app.forget_old(text), app.erase_rows(int), app.erase_person(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.forget_old(text), app.erase_rows(int), app.erase_person(text) TO countersign_program;

-- Export -----------------------------------------------------------------------------------------------------------------

-- Rows of a table, whichever it is, as JSON of these columns, in the order of its key, after the place of another one; of people, where
-- any are named: those that name them in one of the columns `by_columns`, or belong to something of theirs. With the rights and in the
-- context of whoever asks.
CREATE FUNCTION app.export_rows(of_table text, shown text[], by_columns text[], through text, people uuid[], after jsonb, most int)
RETURNS TABLE (line text, place text) LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  key text[] := ARRAY(SELECT a.attname::text FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey::int2[])
    WHERE i.indrelid = format('public.%I', of_table)::regclass AND i.indisprimary ORDER BY array_position(i.indkey::int2[], a.attnum));
  own text := array_to_string(ARRAY(SELECT format('r.%I', k) FROM unnest(key) WITH ORDINALITY u (k, n) ORDER BY n), ', ');
  theirs text := 'SELECT o.id FROM public.autonomous_operations o WHERE o.customer_id = $1 AND o.user_id = ANY ($2)';
  ways text[] := ARRAY(SELECT format('r.%I = ANY ($2)', c) FROM unnest(by_columns) c);
BEGIN
  ways := ways || CASE through
    WHEN 'operation' THEN ARRAY[format('r.operation_id IN (%s)', theirs)]
    WHEN 'trail' THEN ARRAY[format('r.operation_id IN (%s)', theirs), 'r.header::jsonb ->> ''actor'' = ANY ($2::text[])']
    WHEN 'thread' THEN ARRAY[format('r.id IN (%s)', replace(theirs, 'o.id', 'o.thread_id'))]
    WHEN 'message' THEN ARRAY[format('r.thread_id IN (%s)', replace(theirs, 'o.id', 'o.thread_id'))]
    WHEN 'token' THEN ARRAY['r.token_id IN (SELECT t.id FROM public.api_tokens t WHERE t.customer_id = $1 AND t.member_id = ANY ($2))']
    ELSE '{}'::text[] END;
  RETURN QUERY EXECUTE format('SELECT jsonb_build_object(%s)::text, jsonb_build_object(%s)::text FROM public.%I r
      WHERE r.customer_id = $1 AND (%s) AND ($3 IS NULL OR (%s) > (SELECT %s FROM jsonb_populate_record(NULL::public.%I, $3) r))
      ORDER BY %s LIMIT $4',
    array_to_string(ARRAY(SELECT format('%L, r.%I', c, c) FROM unnest(shown) c), ', '),
    array_to_string(ARRAY(SELECT format('%L, r.%I', k, k) FROM unnest(key) k), ', '), of_table,
    CASE WHEN people IS NULL THEN 'true' WHEN ways = '{}' THEN 'false' ELSE array_to_string(ways, ' OR ') END, own, own, of_table, own)
    USING sec.customer(), people, after, most;
END $$;
REVOKE ALL ON FUNCTION app.export_rows(text, text[], text[], text, uuid[], jsonb, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.export_rows(text, text[], text[], text, uuid[], jsonb, int) TO countersign_program;
