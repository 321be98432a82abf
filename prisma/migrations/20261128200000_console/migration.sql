-- The console: a one-time link that its person is shown in chat, and the session that it becomes when they spend it.

-- CreateTable
CREATE TABLE "console_sessions" (
    "customer_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "member_id" UUID NOT NULL,
    "link_hash" BYTEA NOT NULL,
    "link_expires_at" TIMESTAMPTZ(3) NOT NULL,
    "session_hash" BYTEA,
    "roles" TEXT[] DEFAULT ARRAY[]::TEXT[],
    "opened_at" TIMESTAMPTZ(3),
    "expires_at" TIMESTAMPTZ(3),
    "last_used_at" TIMESTAMPTZ(3),
    "ended_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT app.now(),

    CONSTRAINT "console_sessions_pkey" PRIMARY KEY ("customer_id","id")
);

-- CreateIndex
CREATE UNIQUE INDEX "console_sessions_link_hash_key" ON "console_sessions"("link_hash");

-- CreateIndex
CREATE UNIQUE INDEX "console_sessions_session_hash_key" ON "console_sessions"("session_hash");

-- CreateIndex
CREATE INDEX "console_sessions_customer_id_member_id_idx" ON "console_sessions"("customer_id", "member_id");

-- CreateIndex
CREATE INDEX "autonomous_operations_customer_id_created_at_id_idx" ON "autonomous_operations"("customer_id", "created_at", "id");

-- CreateIndex
CREATE INDEX "autonomous_operations_customer_id_user_id_created_at_id_idx" ON "autonomous_operations"("customer_id", "user_id", "created_at", "id");

-- CreateIndex
CREATE INDEX "autonomous_operations_customer_id_service_created_at_id_idx" ON "autonomous_operations"("customer_id", "service", "created_at", "id");

-- AddForeignKey
ALTER TABLE "console_sessions" ADD CONSTRAINT "console_sessions_customer_id_fkey" FOREIGN KEY ("customer_id") REFERENCES "customers"("customer_id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "console_sessions" ADD CONSTRAINT "console_sessions_customer_id_member_id_fkey" FOREIGN KEY ("customer_id", "member_id") REFERENCES "members"("customer_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- Rules that a row can't break ---------------------------------------------------------------------------------------

ALTER TABLE console_sessions
  ADD CONSTRAINT console_sessions_link_hash_check CHECK (octet_length(link_hash) = 32),
  ADD CONSTRAINT console_sessions_session_hash_check CHECK (octet_length(session_hash) = 32),
  -- Open or not, wholly.
  ADD CONSTRAINT console_sessions_open_check CHECK (num_nulls(session_hash, opened_at, expires_at, last_used_at) IN (0, 4));

ALTER TABLE console_sessions ENABLE ROW LEVEL SECURITY;
ALTER TABLE console_sessions FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON console_sessions USING (customer_id = (SELECT sec.customer())) WITH CHECK (customer_id = (SELECT sec.customer()));

DO $$
DECLARE
  c record;
BEGIN
  -- No samples for the planner: estimates would tell of other customers.
  FOR c IN SELECT a.attname AS name FROM pg_attribute a WHERE a.attrelid = 'console_sessions'::regclass AND a.attnum > 0 LOOP
    EXECUTE format('ALTER TABLE console_sessions ALTER COLUMN %I SET STATISTICS 0', c.name);
  END LOOP;
END $$;

-- Whose it is stays as it was made: the program opens it once, notes its use, and ends it.
GRANT SELECT, INSERT, UPDATE (session_hash, roles, opened_at, expires_at, last_used_at, ended_at) ON console_sessions TO countersign_program;

-- Who may come in is the program's own word, as with links and tokens: whoever gets SQL into its connection opens no session.
CREATE FUNCTION app.keep_console_session() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF TG_OP = 'UPDATE' THEN
    IF OLD.ended_at IS NOT NULL AND NEW.ended_at IS DISTINCT FROM OLD.ended_at THEN
      RAISE EXCEPTION 'what has ended stays ended' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF OLD.session_hash IS NOT NULL AND (NEW.session_hash, NEW.roles, NEW.opened_at, NEW.expires_at)
        IS DISTINCT FROM (OLD.session_hash, OLD.roles, OLD.opened_at, OLD.expires_at) THEN
      RAISE EXCEPTION 'a link is spent once' USING ERRCODE = 'insufficient_privilege';
    END IF;
  END IF;
  IF NOT row_security_active(TG_RELID) THEN RETURN NEW; END IF;
  IF TG_OP = 'INSERT' THEN
    PERFORM sec.take_word(format('console|%s|%s|%s|%s|%s', NEW.customer_id, NEW.id, encode(NEW.link_hash, 'hex'), NEW.member_id,
      (extract(epoch FROM NEW.link_expires_at) * 1000)::bigint));
  END IF;
  IF NEW.session_hash IS NOT NULL AND (TG_OP = 'INSERT' OR OLD.session_hash IS NULL) THEN
    PERFORM sec.take_word(format('console|%s|%s|opened|%s|%s|%s', NEW.customer_id, NEW.id, encode(NEW.session_hash, 'hex'),
      array_to_string(NEW.roles, ','), (extract(epoch FROM NEW.expires_at) * 1000)::bigint));
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER keep_vouched BEFORE INSERT OR UPDATE ON console_sessions FOR EACH ROW EXECUTE FUNCTION app.keep_console_session();
GRANT EXECUTE ON FUNCTION app.keep_console_session() TO countersign_program;

-- Whose link or session this is. That it is spent, over, or of an erased customer is one answer with that it never was.
CREATE POLICY directory ON console_sessions FOR SELECT TO CURRENT_USER USING (true);
CREATE FUNCTION directory.customer_of_console_link(link_hash bytea) RETURNS uuid LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
  SELECT s.customer_id FROM public.console_sessions s JOIN public.customers c USING (customer_id)
  WHERE s.link_hash = $1 AND s.session_hash IS NULL AND s.ended_at IS NULL AND s.link_expires_at > app.now() AND c.erased_at IS NULL
$$;
CREATE FUNCTION directory.customer_of_console_session(session_hash bytea) RETURNS uuid LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
  SELECT s.customer_id FROM public.console_sessions s JOIN public.customers c USING (customer_id)
  WHERE s.session_hash = $1 AND s.ended_at IS NULL AND s.expires_at > app.now() AND c.erased_at IS NULL
$$;
GRANT EXECUTE ON FUNCTION directory.customer_of_console_link(bytea), directory.customer_of_console_session(bytea) TO countersign_program;
