-- Slack in many workspaces: what an installation by OAuth leaves with us. Its tokens are sealed under the customer's key.

-- CreateTable
CREATE TABLE "slack_installations" (
    "customer_id" UUID NOT NULL,
    "workspace_id" TEXT NOT NULL,
    "app_id" TEXT NOT NULL,
    "team_id" TEXT,
    "enterprise_id" TEXT,
    "bot_user_id" TEXT NOT NULL,
    "scopes" TEXT[],
    "installed_by" UUID NOT NULL,
    "sealed" BYTEA,
    "expires_at" TIMESTAMPTZ(3),
    "installed_at" TIMESTAMPTZ(3) NOT NULL DEFAULT app.now(),
    "removed_at" TIMESTAMPTZ(3),
    "cleared_at" TIMESTAMPTZ(3),

    CONSTRAINT "slack_installations_pkey" PRIMARY KEY ("customer_id","workspace_id")
);

-- AddForeignKey
ALTER TABLE "slack_installations" ADD CONSTRAINT "slack_installations_customer_id_fkey" FOREIGN KEY ("customer_id") REFERENCES "customers"("customer_id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "slack_installations" ADD CONSTRAINT "slack_installations_customer_id_installed_by_fkey" FOREIGN KEY ("customer_id", "installed_by") REFERENCES "members"("customer_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- Rules that a row can't break ---------------------------------------------------------------------------------------

-- Tokens are there until the installation is removed; an org-wide one goes by the id of its organisation.
ALTER TABLE slack_installations
  ADD CONSTRAINT slack_installations_removed_check CHECK ((sealed IS NULL) = (removed_at IS NOT NULL)),
  ADD CONSTRAINT slack_installations_expires_check CHECK (expires_at IS NULL OR sealed IS NOT NULL),
  ADD CONSTRAINT slack_installations_cleared_check CHECK (cleared_at IS NULL OR removed_at IS NOT NULL),
  ADD CONSTRAINT slack_installations_workspace_check CHECK (workspace_id IN (coalesce(team_id, ''), coalesce(enterprise_id, '')));

DO $$
DECLARE
  c record;
BEGIN
  ALTER TABLE slack_installations ENABLE ROW LEVEL SECURITY;
  ALTER TABLE slack_installations FORCE ROW LEVEL SECURITY;
  CREATE POLICY own_rows ON slack_installations USING (customer_id = (SELECT sec.customer())) WITH CHECK (customer_id = (SELECT sec.customer()));
  -- No samples for the planner: estimates would tell of other customers.
  FOR c IN SELECT a.attname AS name FROM pg_attribute a WHERE a.attrelid = 'slack_installations'::regclass AND a.attnum > 0 LOOP
    EXECUTE format('ALTER TABLE slack_installations ALTER COLUMN %I SET STATISTICS 0', c.name);
  END LOOP;
END $$;

GRANT SELECT, INSERT, UPDATE (app_id, team_id, enterprise_id, bot_user_id, scopes, installed_by, sealed, expires_at, installed_at,
  removed_at, cleared_at) ON slack_installations TO countersign_program;

-- Which tokens there are, and that they go, is the program's own word, as with other sealed secrets.
CREATE FUNCTION app.keep_installation() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF row_security_active(TG_RELID) AND (TG_OP = 'INSERT' OR (NEW.sealed, NEW.expires_at) IS DISTINCT FROM (OLD.sealed, OLD.expires_at)) THEN
    PERFORM sec.take_word(format('installation|%s|%s|%s', NEW.customer_id, NEW.workspace_id, encode(NEW.sealed, 'hex')));
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER keep_vouched BEFORE INSERT OR UPDATE ON slack_installations FOR EACH ROW EXECUTE FUNCTION app.keep_installation();
REVOKE ALL ON FUNCTION app.keep_installation() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.keep_installation() TO countersign_program;

-- A key that opens tokens, or what somebody wrote and waits for its answer, is still needed.
CREATE OR REPLACE FUNCTION app.key_is_named(customer uuid, key_version integer) RETURNS boolean LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
  SELECT EXISTS (SELECT FROM public.autonomous_credentials c WHERE c.customer_id = $1
      AND (c.encryption_key_id = 'v' || $2 OR substring(c.encrypted_credential FROM 3 FOR 4) = int4send($2)))
    OR EXISTS (SELECT FROM public.autonomous_operations_audit a WHERE a.customer_id = $1
      AND substring(a.payload FROM 3 FOR 4) = int4send($2))
    OR EXISTS (SELECT FROM public.screenshots s WHERE s.customer_id = $1
      AND substring(s.sealed FROM 3 FOR 4) = int4send($2))
    OR EXISTS (SELECT FROM public.slack_installations i WHERE i.customer_id = $1
      AND substring(i.sealed FROM 3 FOR 4) = int4send($2))
    OR EXISTS (SELECT FROM public.chat_events e WHERE e.customer_id = $1
      AND substring(e.sealed FROM 3 FOR 4) = int4send($2))
$$;

-- Customers whose installation was removed, and of whose work and secrets something may still be there.
CREATE POLICY directory ON slack_installations FOR SELECT TO CURRENT_USER USING (true);
CREATE FUNCTION directory.customers_to_clear() RETURNS SETOF uuid LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
  SELECT DISTINCT i.customer_id FROM public.slack_installations i WHERE i.removed_at IS NOT NULL AND i.cleared_at IS NULL
$$;
REVOKE ALL ON FUNCTION directory.customers_to_clear() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION directory.customers_to_clear() TO countersign_program;
