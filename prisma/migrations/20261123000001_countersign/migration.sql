-- The tables, and what holds them together: customers apart (row level security with a signed context), the audit chain
-- append-only, consent before action. Constraint and index names are Prisma's; drift detection compares them.

CREATE SCHEMA app;
CREATE SCHEMA sec;
CREATE SCHEMA directory;
GRANT USAGE ON SCHEMA app, sec, directory TO countersign_program;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO countersign_program;

-- The one clock. Only the owner of a test database replaces it; everything that reads the time reads it here.
CREATE FUNCTION app.now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
RETURN pg_catalog.now();

-- The same clock while a transaction runs: a writer that waited for a lock must not write an older time than its predecessor.
CREATE FUNCTION app.clock() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE
RETURN pg_catalog.clock_timestamp() + (app.now() - pg_catalog.now());

-- CreateTable
CREATE TABLE "customers" (
    "customer_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "may_work_alone" BOOLEAN NOT NULL DEFAULT false,
    "allows_model" BOOLEAN NOT NULL DEFAULT true,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT app.now(),

    CONSTRAINT "customers_pkey" PRIMARY KEY ("customer_id")
);

-- CreateTable
CREATE TABLE "workspaces" (
    "customer_id" UUID NOT NULL,
    "platform" TEXT NOT NULL,
    "workspace_id" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT app.now(),

    CONSTRAINT "workspaces_pkey" PRIMARY KEY ("customer_id","platform","workspace_id")
);

-- CreateTable
CREATE TABLE "members" (
    "customer_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "platform" TEXT NOT NULL,
    "workspace_id" TEXT NOT NULL,
    "user_id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "roles" TEXT[],
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT app.now(),

    CONSTRAINT "members_pkey" PRIMARY KEY ("customer_id","id")
);

-- CreateTable
CREATE TABLE "threads" (
    "customer_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "platform" TEXT NOT NULL,
    "workspace_id" TEXT NOT NULL,
    "ref" TEXT NOT NULL,
    "awaiting" JSONB,
    "last_seq" BIGINT NOT NULL DEFAULT 0,
    "cursor" BIGINT NOT NULL DEFAULT 0,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT app.now(),

    CONSTRAINT "threads_pkey" PRIMARY KEY ("customer_id","id")
);

-- CreateTable
CREATE TABLE "thread_messages" (
    "customer_id" UUID NOT NULL,
    "thread_id" UUID NOT NULL,
    "slot" TEXT NOT NULL,
    "ref" TEXT NOT NULL,
    "shown" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT app.now(),

    CONSTRAINT "thread_messages_pkey" PRIMARY KEY ("customer_id","thread_id","slot")
);

-- CreateTable
CREATE TABLE "autonomous_operations" (
    "customer_id" UUID NOT NULL,
    "id" TEXT NOT NULL,
    "thread_id" UUID NOT NULL,
    "user_id" UUID NOT NULL,
    "service" VARCHAR(50) NOT NULL,
    "operation" VARCHAR(100) NOT NULL,
    "target" TEXT NOT NULL,
    "workflow_id" VARCHAR(100) NOT NULL,
    "workflow_version" INTEGER NOT NULL,
    "status" VARCHAR(20) NOT NULL,
    "fence" BIGINT NOT NULL DEFAULT 0,
    "plan" TEXT NOT NULL,
    "plan_hash" TEXT NOT NULL,
    "permissions" JSONB NOT NULL,
    "consent_given" BOOLEAN NOT NULL DEFAULT false,
    "consent_timestamp" TIMESTAMPTZ(3),
    "consent_expires_at" TIMESTAMPTZ(3),
    "started_at" TIMESTAMPTZ(3),
    "completed_at" TIMESTAMPTZ(3),
    "total_steps" INTEGER NOT NULL,
    "current_step" INTEGER NOT NULL DEFAULT 0,
    "result" JSONB,
    "error_code" TEXT,
    "error_message" TEXT,
    "execution_metadata" JSONB NOT NULL DEFAULT '{}',
    "job_id" UUID,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT app.now(),
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT app.now(),

    CONSTRAINT "autonomous_operations_pkey" PRIMARY KEY ("customer_id","id")
);

-- CreateTable
CREATE TABLE "operation_steps" (
    "customer_id" UUID NOT NULL,
    "operation_id" TEXT NOT NULL,
    "number" INTEGER NOT NULL,
    "intent" TEXT NOT NULL,
    "state" VARCHAR(20) NOT NULL DEFAULT 'waiting',
    "attempt" BIGINT NOT NULL DEFAULT 0,
    "rung" VARCHAR(20),
    "started_at" TIMESTAMPTZ(3),
    "finished_at" TIMESTAMPTZ(3),
    "duration_ms" INTEGER,
    "screenshot_id" UUID,
    "note" TEXT,

    CONSTRAINT "operation_steps_pkey" PRIMARY KEY ("customer_id","operation_id","number")
);

-- CreateTable
CREATE TABLE "operation_intents" (
    "customer_id" UUID NOT NULL,
    "operation_id" TEXT NOT NULL,
    "step" INTEGER NOT NULL,
    "attempt" BIGINT NOT NULL,
    "label" TEXT NOT NULL,
    "state" VARCHAR(20) NOT NULL,
    "started_at" TIMESTAMPTZ(3) NOT NULL DEFAULT app.now(),
    "settled_at" TIMESTAMPTZ(3),

    CONSTRAINT "operation_intents_pkey" PRIMARY KEY ("customer_id","operation_id","step","attempt")
);

-- CreateTable
CREATE TABLE "autonomous_operations_audit" (
    "customer_id" UUID NOT NULL,
    "seq" BIGINT NOT NULL,
    "operation_id" TEXT,
    "kind" VARCHAR(60) NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "header" TEXT NOT NULL,
    "prev" BYTEA NOT NULL,
    "hash" BYTEA NOT NULL,
    "payload" BYTEA,
    "step_number" INTEGER,
    "attempt" BIGINT,
    "success" BOOLEAN,
    "duration_ms" INTEGER,

    CONSTRAINT "autonomous_operations_audit_pkey" PRIMARY KEY ("customer_id","seq")
);

-- CreateTable
CREATE TABLE "audit_heads" (
    "customer_id" UUID NOT NULL,
    "seq" BIGINT NOT NULL,
    "hash" BYTEA NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "audit_heads_pkey" PRIMARY KEY ("customer_id")
);

-- CreateTable
CREATE TABLE "customer_keys" (
    "customer_id" UUID NOT NULL,
    "version" INTEGER NOT NULL,
    "wrapped" BYTEA NOT NULL,
    "state" VARCHAR(20) NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT app.now(),

    CONSTRAINT "customer_keys_pkey" PRIMARY KEY ("customer_id","version")
);

-- CreateTable
CREATE TABLE "autonomous_credentials" (
    "customer_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "service" VARCHAR(50) NOT NULL,
    "target" TEXT NOT NULL,
    "credential_type" VARCHAR(50) NOT NULL,
    "operation_id" TEXT,
    "encrypted_credential" BYTEA NOT NULL,
    "encryption_key_id" VARCHAR(100) NOT NULL,
    "secret_version" INTEGER NOT NULL DEFAULT 1,
    "expires_at" TIMESTAMPTZ(3),
    "last_rotated_at" TIMESTAMPTZ(3),
    "rotation_required" BOOLEAN NOT NULL DEFAULT false,
    "credential_metadata" JSONB NOT NULL DEFAULT '{}',
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT app.now(),
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT app.now(),

    CONSTRAINT "autonomous_credentials_pkey" PRIMARY KEY ("customer_id","id")
);

-- CreateTable
CREATE TABLE "consent_requests" (
    "customer_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "operation_id" TEXT NOT NULL,
    "plan_hash" TEXT NOT NULL,
    "asked_at" TIMESTAMPTZ(3) NOT NULL DEFAULT app.now(),
    "expires_at" TIMESTAMPTZ(3) NOT NULL,
    "decision" VARCHAR(20),
    "decided_at" TIMESTAMPTZ(3),
    "decided_by" UUID,
    "reason" TEXT,

    CONSTRAINT "consent_requests_pkey" PRIMARY KEY ("customer_id","id")
);

-- CreateTable
CREATE TABLE "autonomous_consent" (
    "customer_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "request_id" UUID NOT NULL,
    "operation_id" TEXT NOT NULL,
    "user_id" UUID NOT NULL,
    "service" VARCHAR(50) NOT NULL,
    "operation" VARCHAR(100) NOT NULL,
    "target" TEXT NOT NULL,
    "permissions" JSONB NOT NULL,
    "plan_hash" TEXT NOT NULL,
    "granted_at" TIMESTAMPTZ(3) NOT NULL DEFAULT app.now(),
    "expires_at" TIMESTAMPTZ(3),
    "revoked_at" TIMESTAMPTZ(3),
    "revoked_by" UUID,
    "collection_method" VARCHAR(30) NOT NULL,
    "ip_address" INET,
    "user_agent" TEXT,
    "consent_version" VARCHAR(20) NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT app.now(),

    CONSTRAINT "autonomous_consent_pkey" PRIMARY KEY ("customer_id","id")
);

-- CreateTable
CREATE TABLE "screenshots" (
    "customer_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "operation_id" TEXT NOT NULL,
    "step" INTEGER NOT NULL,
    "sealed" BYTEA NOT NULL,
    "media_type" VARCHAR(20) NOT NULL,
    "width" INTEGER NOT NULL,
    "height" INTEGER NOT NULL,
    "alt" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT app.now(),

    CONSTRAINT "screenshots_pkey" PRIMARY KEY ("customer_id","id")
);

-- CreateTable
CREATE TABLE "connect_links" (
    "customer_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "token_hash" BYTEA NOT NULL,
    "purpose" VARCHAR(20) NOT NULL,
    "operation_id" TEXT NOT NULL,
    "member_id" UUID NOT NULL,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,
    "spent_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT app.now(),

    CONSTRAINT "connect_links_pkey" PRIMARY KEY ("customer_id","id")
);

-- CreateIndex
CREATE UNIQUE INDEX "workspaces_platform_workspace_id_key" ON "workspaces"("platform", "workspace_id");

-- CreateIndex
CREATE UNIQUE INDEX "members_customer_id_platform_workspace_id_user_id_key" ON "members"("customer_id", "platform", "workspace_id", "user_id");

-- CreateIndex
CREATE UNIQUE INDEX "threads_customer_id_platform_workspace_id_ref_key" ON "threads"("customer_id", "platform", "workspace_id", "ref");

-- CreateIndex
CREATE INDEX "autonomous_operations_customer_id_status_created_at_idx" ON "autonomous_operations"("customer_id", "status", "created_at");

-- CreateIndex
CREATE INDEX "autonomous_operations_customer_id_thread_id_idx" ON "autonomous_operations"("customer_id", "thread_id");

-- CreateIndex
CREATE UNIQUE INDEX "operation_intents_customer_id_label_key" ON "operation_intents"("customer_id", "label");

-- CreateIndex
CREATE INDEX "autonomous_operations_audit_customer_id_operation_id_seq_idx" ON "autonomous_operations_audit"("customer_id", "operation_id", "seq");

-- CreateIndex
CREATE UNIQUE INDEX "autonomous_operations_audit_customer_id_operation_id_step_n_key" ON "autonomous_operations_audit"("customer_id", "operation_id", "step_number", "attempt");

-- CreateIndex
CREATE UNIQUE INDEX "autonomous_credentials_customer_id_service_target_credentia_key" ON "autonomous_credentials"("customer_id", "service", "target", "credential_type", "operation_id") NULLS NOT DISTINCT;

-- CreateIndex
CREATE INDEX "consent_requests_customer_id_operation_id_idx" ON "consent_requests"("customer_id", "operation_id");

-- CreateIndex
CREATE INDEX "autonomous_consent_customer_id_operation_id_idx" ON "autonomous_consent"("customer_id", "operation_id");

-- CreateIndex
CREATE INDEX "autonomous_consent_customer_id_service_operation_idx" ON "autonomous_consent"("customer_id", "service", "operation");

-- CreateIndex
CREATE INDEX "screenshots_customer_id_operation_id_idx" ON "screenshots"("customer_id", "operation_id");

-- CreateIndex
CREATE UNIQUE INDEX "connect_links_token_hash_key" ON "connect_links"("token_hash");

-- CreateIndex
CREATE INDEX "connect_links_customer_id_operation_id_idx" ON "connect_links"("customer_id", "operation_id");

-- AddForeignKey
ALTER TABLE "workspaces" ADD CONSTRAINT "workspaces_customer_id_fkey" FOREIGN KEY ("customer_id") REFERENCES "customers"("customer_id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "members" ADD CONSTRAINT "members_customer_id_fkey" FOREIGN KEY ("customer_id") REFERENCES "customers"("customer_id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "threads" ADD CONSTRAINT "threads_customer_id_fkey" FOREIGN KEY ("customer_id") REFERENCES "customers"("customer_id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "thread_messages" ADD CONSTRAINT "thread_messages_customer_id_thread_id_fkey" FOREIGN KEY ("customer_id", "thread_id") REFERENCES "threads"("customer_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "autonomous_operations" ADD CONSTRAINT "autonomous_operations_customer_id_thread_id_fkey" FOREIGN KEY ("customer_id", "thread_id") REFERENCES "threads"("customer_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "autonomous_operations" ADD CONSTRAINT "autonomous_operations_customer_id_user_id_fkey" FOREIGN KEY ("customer_id", "user_id") REFERENCES "members"("customer_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "autonomous_operations" ADD CONSTRAINT "autonomous_operations_customer_id_fkey" FOREIGN KEY ("customer_id") REFERENCES "customers"("customer_id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "operation_steps" ADD CONSTRAINT "operation_steps_customer_id_operation_id_fkey" FOREIGN KEY ("customer_id", "operation_id") REFERENCES "autonomous_operations"("customer_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "operation_intents" ADD CONSTRAINT "operation_intents_customer_id_operation_id_fkey" FOREIGN KEY ("customer_id", "operation_id") REFERENCES "autonomous_operations"("customer_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "autonomous_operations_audit" ADD CONSTRAINT "autonomous_operations_audit_customer_id_operation_id_fkey" FOREIGN KEY ("customer_id", "operation_id") REFERENCES "autonomous_operations"("customer_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "audit_heads" ADD CONSTRAINT "audit_heads_customer_id_fkey" FOREIGN KEY ("customer_id") REFERENCES "customers"("customer_id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "customer_keys" ADD CONSTRAINT "customer_keys_customer_id_fkey" FOREIGN KEY ("customer_id") REFERENCES "customers"("customer_id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "autonomous_credentials" ADD CONSTRAINT "autonomous_credentials_customer_id_operation_id_fkey" FOREIGN KEY ("customer_id", "operation_id") REFERENCES "autonomous_operations"("customer_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "consent_requests" ADD CONSTRAINT "consent_requests_customer_id_operation_id_fkey" FOREIGN KEY ("customer_id", "operation_id") REFERENCES "autonomous_operations"("customer_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "autonomous_consent" ADD CONSTRAINT "autonomous_consent_customer_id_operation_id_fkey" FOREIGN KEY ("customer_id", "operation_id") REFERENCES "autonomous_operations"("customer_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "autonomous_consent" ADD CONSTRAINT "autonomous_consent_customer_id_user_id_fkey" FOREIGN KEY ("customer_id", "user_id") REFERENCES "members"("customer_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "autonomous_consent" ADD CONSTRAINT "autonomous_consent_customer_id_request_id_fkey" FOREIGN KEY ("customer_id", "request_id") REFERENCES "consent_requests"("customer_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "screenshots" ADD CONSTRAINT "screenshots_customer_id_operation_id_fkey" FOREIGN KEY ("customer_id", "operation_id") REFERENCES "autonomous_operations"("customer_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "connect_links" ADD CONSTRAINT "connect_links_customer_id_operation_id_fkey" FOREIGN KEY ("customer_id", "operation_id") REFERENCES "autonomous_operations"("customer_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "connect_links" ADD CONSTRAINT "connect_links_customer_id_member_id_fkey" FOREIGN KEY ("customer_id", "member_id") REFERENCES "members"("customer_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;



-- Rules that a row can't break ---------------------------------------------------------------------------------------

ALTER TABLE members
  ADD CONSTRAINT members_roles_check CHECK (roles <@ ARRAY['merchant', 'approver', 'admin']);
ALTER TABLE autonomous_operations
  ADD CONSTRAINT autonomous_operations_id_check CHECK (id ~ '^op-[0-9a-z]{8}$'),
  ADD CONSTRAINT autonomous_operations_plan_hash_check CHECK (plan_hash = encode(sha256(convert_to(plan, 'UTF8')), 'hex')),
  ADD CONSTRAINT valid_status CHECK (status IN ('pending', 'awaiting_consent', 'awaiting_credentials', 'queued', 'in_progress',
    'waiting_for_human', 'paused', 'completed', 'denied', 'expired', 'cancelled', 'failed')),
  ADD CONSTRAINT consent_required CHECK (status <> 'in_progress' OR consent_given);
ALTER TABLE operation_steps
  ADD CONSTRAINT operation_steps_state_check CHECK (state IN ('waiting', 'running', 'done', 'failed', 'unsure'));
ALTER TABLE operation_intents
  ADD CONSTRAINT operation_intents_state_check CHECK (state IN ('started', 'done', 'uncertain', 'absent'));
ALTER TABLE autonomous_operations_audit
  ADD CONSTRAINT autonomous_operations_audit_duration_check CHECK (duration_ms >= 0),
  ADD CONSTRAINT autonomous_operations_audit_hash_check CHECK (octet_length(hash) = 32 AND octet_length(prev) = 32);
ALTER TABLE customer_keys
  ADD CONSTRAINT customer_keys_state_check CHECK (state IN ('active', 'decrypt_only', 'destroyed'));
ALTER TABLE autonomous_credentials
  ADD CONSTRAINT autonomous_credentials_type_check CHECK (credential_type IN ('oauth_token', 'api_key', 'password', 'session',
    'admin_username', 'admin_password', 'admin_email'));
ALTER TABLE consent_requests
  ADD CONSTRAINT consent_requests_decision_check CHECK (decision IN ('granted', 'denied', 'expired', 'superseded', 'cancelled'));
ALTER TABLE autonomous_consent
  ADD CONSTRAINT autonomous_consent_permissions_check CHECK (jsonb_typeof(permissions) = 'array' AND jsonb_array_length(permissions) > 0);
ALTER TABLE connect_links
  ADD CONSTRAINT connect_links_purpose_check CHECK (purpose IN ('credentials', 'answer', 'reveal', 'export'));

CREATE INDEX threads_behind_idx ON threads (customer_id) WHERE cursor < last_seq;

-- One open question an operation.
CREATE UNIQUE INDEX consent_requests_open_key ON consent_requests (customer_id, operation_id) WHERE decision IS NULL;

-- No operation is in progress without a live countersignature of exactly its plan: also for whoever writes SQL by hand.
CREATE FUNCTION app.require_live_consent() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NEW.status = 'in_progress' AND NOT EXISTS (
    SELECT FROM public.autonomous_consent c
    WHERE c.customer_id = NEW.customer_id AND c.operation_id = NEW.id AND c.plan_hash = NEW.plan_hash
      AND c.revoked_at IS NULL AND (c.expires_at IS NULL OR c.expires_at > app.now())
  ) THEN
    RAISE EXCEPTION 'Consent required: operation % has no live consent for its plan', NEW.id
      USING ERRCODE = 'check_violation', CONSTRAINT = 'consent_required';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER require_live_consent BEFORE INSERT OR UPDATE OF status, plan_hash ON autonomous_operations
  FOR EACH ROW EXECUTE FUNCTION app.require_live_consent();

-- What was taken back stays taken back, and what was decided stays decided.
CREATE FUNCTION app.keep_revocation() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF OLD.revoked_at IS NOT NULL AND (NEW.revoked_at, NEW.revoked_by) IS DISTINCT FROM (OLD.revoked_at, OLD.revoked_by) THEN
    RAISE EXCEPTION 'a revocation cannot be undone' USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER keep_revocation BEFORE UPDATE ON autonomous_consent
  FOR EACH ROW EXECUTE FUNCTION app.keep_revocation();

CREATE FUNCTION app.keep_decision() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF OLD.decision IS NOT NULL THEN
    RAISE EXCEPTION 'a decided consent request cannot be changed' USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER keep_decision BEFORE UPDATE ON consent_requests
  FOR EACH ROW EXECUTE FUNCTION app.keep_decision();

-- The signed context -------------------------------------------------------------------------------------------------
-- The program proves itself once a transaction with HMAC(program key, customer|expiry); the database then binds the
-- context to this backend and this transaction with a second key that never leaves it. So a set_config that somebody
-- injects gains nothing. Keys are stored as HMAC pads (RFC 2104: key xor 0x36, key xor 0x5c), since SQL has no bytea xor.

CREATE TABLE sec.context_key (
  id int PRIMARY KEY,
  kind text NOT NULL CHECK (kind IN ('program', 'database')),
  inner_pad bytea NOT NULL CHECK (octet_length(inner_pad) = 64),
  outer_pad bytea NOT NULL CHECK (octet_length(outer_pad) = 64)
);

CREATE FUNCTION sec.hmac(inner_pad bytea, outer_pad bytea, message text) RETURNS bytea LANGUAGE sql IMMUTABLE
RETURN sha256(outer_pad || sha256(inner_pad || convert_to(message, 'UTF8')));

CREATE FUNCTION sec.bound(customer text) RETURNS text LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT customer || '|' || encode(sec.hmac(k.inner_pad, k.outer_pad,
    customer || '|' || pg_backend_pid() || '|' || extract(epoch FROM pg_catalog.now())), 'hex')
  FROM sec.context_key k WHERE k.kind = 'database'
$$;

CREATE FUNCTION sec.customer() RETURNS uuid LANGUAGE plpgsql STABLE SECURITY DEFINER PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  context text := current_setting('app.context', true);
BEGIN
  IF context IS NULL OR context = '' THEN RETURN NULL; END IF;
  IF context = sec.bound(split_part(context, '|', 1)) THEN RETURN split_part(context, '|', 1)::uuid; END IF;
  RETURN NULL;
END $$;

-- Begins a customer's transaction. `expires` is in seconds since 1970; `token` = HMAC-SHA-256(program key, customer|expires).
CREATE FUNCTION sec.enter(customer uuid, expires bigint, token bytea) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  inside uuid := sec.customer();
BEGIN
  IF inside IS NOT NULL AND inside <> customer THEN
    RAISE EXCEPTION 'context refused' USING ERRCODE = 'insufficient_privilege';
  END IF;
  IF expires < extract(epoch FROM clock_timestamp()) OR NOT EXISTS (
    SELECT FROM sec.context_key k
    WHERE k.kind = 'program' AND sec.hmac(k.inner_pad, k.outer_pad, customer || '|' || expires) = token
  ) THEN
    RAISE EXCEPTION 'context refused' USING ERRCODE = 'insufficient_privilege';
  END IF;
  PERFORM set_config('app.context', sec.bound(customer::text), true);
END $$;

GRANT EXECUTE ON FUNCTION app.now(), app.clock(), app.require_live_consent(), app.keep_revocation(), app.keep_decision(), sec.customer(), sec.enter(uuid, bigint, bytea)
  TO countersign_program;

-- Customers apart ----------------------------------------------------------------------------------------------------

DO $$
DECLARE
  t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['customers', 'workspaces', 'members', 'threads', 'thread_messages', 'autonomous_operations',
    'operation_steps', 'operation_intents', 'autonomous_operations_audit', 'audit_heads', 'customer_keys',
    'autonomous_credentials', 'consent_requests', 'autonomous_consent', 'screenshots', 'connect_links']
  LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY own_rows ON %I USING (customer_id = (SELECT sec.customer())) WITH CHECK (customer_id = (SELECT sec.customer()))', t);
  END LOOP;
END $$;

GRANT SELECT, INSERT, UPDATE ON customers, members, threads, thread_messages, autonomous_operations, operation_steps,
  operation_intents, customer_keys, consent_requests TO countersign_program;
GRANT SELECT, INSERT ON workspaces, screenshots TO countersign_program;
GRANT SELECT, INSERT, UPDATE, DELETE ON autonomous_credentials TO countersign_program;
GRANT SELECT, INSERT, UPDATE (spent_at) ON connect_links TO countersign_program;
GRANT SELECT, INSERT, UPDATE (revoked_at, revoked_by) ON autonomous_consent TO countersign_program;
GRANT SELECT ON autonomous_operations_audit, audit_heads TO countersign_program;

-- The chain ----------------------------------------------------------------------------------------------------------
-- hash = SHA-256("audit-v1\0" || prev || seq (8 bytes, big-endian) || at (ms since 1970, 8 bytes) || header as UTF-8).
-- The header's own columns are read from the header, so they can't say something else. The head's lock is held until
-- COMMIT: append last. SECURITY DEFINER, because no role of the program may write these two tables in any other way.

CREATE FUNCTION app.append_audit(header text, payload bytea, OUT seq bigint, OUT hash bytea) LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  customer uuid := sec.customer();
  head public.audit_heads;
  fields jsonb := header::jsonb;
  moment timestamptz;
BEGIN
  IF customer IS NULL THEN RAISE EXCEPTION 'context refused' USING ERRCODE = 'insufficient_privilege'; END IF;
  INSERT INTO public.audit_heads (customer_id, seq, hash, at)
    VALUES (customer, 0, decode(repeat('00', 32), 'hex'), app.now()) ON CONFLICT DO NOTHING;
  SELECT * INTO head FROM public.audit_heads h WHERE h.customer_id = customer FOR UPDATE;
  moment := date_trunc('milliseconds', greatest(head.at, app.clock()));
  seq := head.seq + 1;
  hash := sha256(convert_to('audit-v1', 'UTF8') || '\x00'::bytea || head.hash || int8send(seq)
    || int8send(floor(extract(epoch FROM moment) * 1000)::bigint) || convert_to(header, 'UTF8'));
  INSERT INTO public.autonomous_operations_audit
      (customer_id, seq, operation_id, kind, at, header, prev, hash, payload, step_number, attempt, success, duration_ms)
    VALUES (customer, seq, fields ->> 'operationId', fields ->> 'kind', moment, header, head.hash, hash, payload,
      (fields ->> 'stepNumber')::int, (fields ->> 'attempt')::bigint, (fields ->> 'success')::boolean, (fields ->> 'durationMs')::int);
  UPDATE public.audit_heads h SET seq = append_audit.seq, hash = append_audit.hash, at = moment WHERE h.customer_id = customer;
  UPDATE public.threads t SET last_seq = append_audit.seq FROM public.autonomous_operations o
    WHERE o.customer_id = customer AND o.id = fields ->> 'operationId' AND t.customer_id = customer AND t.id = o.thread_id;
END $$;
GRANT EXECUTE ON FUNCTION app.append_audit(text, bytea) TO countersign_program;

-- A statement trigger refuses the owner, too, and also where no row matches. (The owner can still disable it or drop the
-- table: against the owner only checkpoints outside the database help.)
CREATE FUNCTION app.refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON autonomous_operations_audit
  FOR EACH STATEMENT EXECUTE FUNCTION app.refuse_change();

-- The directory: from outside names to ids, and nothing but ids --------------------------------------------------------

CREATE POLICY directory ON workspaces FOR SELECT TO CURRENT_USER USING (true);
CREATE POLICY directory ON connect_links FOR SELECT TO CURRENT_USER USING (true);
CREATE POLICY directory ON threads FOR SELECT TO CURRENT_USER USING (true);

CREATE FUNCTION directory.customer_of_workspace(platform text, workspace text) RETURNS uuid LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
  SELECT w.customer_id FROM public.workspaces w WHERE w.platform = $1 AND w.workspace_id = $2
$$;
CREATE FUNCTION directory.customer_of_link(token_hash bytea) RETURNS uuid LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
  SELECT l.customer_id FROM public.connect_links l WHERE l.token_hash = $1
$$;
-- Customers with entries that one of their threads hasn't shown yet.
CREATE FUNCTION directory.customers_behind() RETURNS SETOF uuid LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
  SELECT DISTINCT t.customer_id FROM public.threads t WHERE t.cursor < t.last_seq
$$;
GRANT EXECUTE ON FUNCTION directory.customer_of_workspace(text, text), directory.customer_of_link(bytea), directory.customers_behind()
  TO countersign_program;

-- The reference system's two functions, which answered for anybody; these answer for the context's customer alone ----------

CREATE FUNCTION has_autonomous_consent(customer uuid, service text, operation text) RETURNS boolean LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
  SELECT EXISTS (
    SELECT FROM public.autonomous_consent c
    WHERE c.customer_id = $1 AND c.service = $2 AND c.operation = $3
      AND c.revoked_at IS NULL AND (c.expires_at IS NULL OR c.expires_at > app.now()))
$$;
CREATE FUNCTION get_autonomous_stats(customer uuid) RETURNS TABLE (total_operations bigint, successful_operations bigint,
  failed_operations bigint, avg_duration_seconds double precision, services_used bigint) LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
  SELECT count(*), count(*) FILTER (WHERE o.status = 'completed'), count(*) FILTER (WHERE o.status = 'failed'),
    avg(extract(epoch FROM o.completed_at - o.started_at)) FILTER (WHERE o.status = 'completed'),
    count(DISTINCT o.service)
  FROM public.autonomous_operations o WHERE o.customer_id = $1
$$;
GRANT EXECUTE ON FUNCTION has_autonomous_consent(uuid, text, text), get_autonomous_stats(uuid) TO countersign_program;
