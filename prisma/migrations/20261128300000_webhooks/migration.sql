-- Webhooks: where a customer wants to be told of what goes on record, with the sealed secret that each message is signed with.

-- CreateTable
CREATE TABLE "webhooks" (
    "customer_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "url" TEXT NOT NULL,
    "kinds" TEXT[],
    "sealed" BYTEA,
    "cursor" BIGINT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT app.now(),
    "removed_at" TIMESTAMPTZ(3),

    CONSTRAINT "webhooks_pkey" PRIMARY KEY ("customer_id","id")
);

-- AddForeignKey
ALTER TABLE "webhooks" ADD CONSTRAINT "webhooks_customer_id_fkey" FOREIGN KEY ("customer_id") REFERENCES "customers"("customer_id") ON DELETE RESTRICT ON UPDATE CASCADE;

ALTER TABLE webhooks
  ADD CONSTRAINT webhooks_removed_check CHECK ((sealed IS NULL) = (removed_at IS NOT NULL)),
  ADD CONSTRAINT webhooks_kinds_check CHECK (coalesce(cardinality(kinds), 0) > 0 AND kinds <@ '{operation,credential,connection}'),
  ADD CONSTRAINT webhooks_url_check CHECK (url ~ '^https?://' AND length(url) <= 2000),
  ADD CONSTRAINT webhooks_cursor_check CHECK (cursor >= 0);

DO $$
DECLARE
  c record;
BEGIN
  ALTER TABLE webhooks ENABLE ROW LEVEL SECURITY;
  ALTER TABLE webhooks FORCE ROW LEVEL SECURITY;
  CREATE POLICY own_rows ON webhooks USING (customer_id = (SELECT sec.customer())) WITH CHECK (customer_id = (SELECT sec.customer()));
  -- No samples for the planner: estimates would tell of other customers.
  FOR c IN SELECT a.attname AS name FROM pg_attribute a WHERE a.attrelid = 'webhooks'::regclass AND a.attnum > 0 LOOP
    EXECUTE format('ALTER TABLE webhooks ALTER COLUMN %I SET STATISTICS 0', c.name);
  END LOOP;
END $$;
GRANT SELECT, INSERT, UPDATE (sealed, cursor, removed_at) ON webhooks TO countersign_program;

-- Where a customer's events go is the program's own word; a webhook that is removed stays so.
CREATE FUNCTION app.keep_webhook() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT row_security_active(TG_RELID) THEN RETURN NEW; END IF;
  IF TG_OP = 'INSERT' THEN
    PERFORM sec.take_word(format('webhook|%s|%s|%s|%s|%s', NEW.customer_id, NEW.id, NEW.url, array_to_string(NEW.kinds, ','),
      encode(NEW.sealed, 'hex')));
  ELSIF NEW.sealed IS DISTINCT FROM OLD.sealed AND NEW.sealed IS NOT NULL THEN
    RAISE EXCEPTION 'a webhook keeps its secret' USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER keep_vouched BEFORE INSERT OR UPDATE ON webhooks FOR EACH ROW EXECUTE FUNCTION app.keep_webhook();
REVOKE ALL ON FUNCTION app.keep_webhook() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.keep_webhook() TO countersign_program;

-- A key that opens the secret of a webhook, or an answer that is kept, is still needed.
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
    OR EXISTS (SELECT FROM public.api_answers n WHERE n.customer_id = $1
      AND substring(n.sealed FROM 3 FOR 4) = int4send($2))
    OR EXISTS (SELECT FROM public.webhooks w WHERE w.customer_id = $1
      AND substring(w.sealed FROM 3 FOR 4) = int4send($2))
$$;

-- Customers whose trail has grown since a webhook of theirs was told of it.
CREATE POLICY directory ON webhooks FOR SELECT TO CURRENT_USER USING (true);
CREATE FUNCTION directory.customers_to_tell() RETURNS SETOF uuid LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
  SELECT DISTINCT w.customer_id FROM public.webhooks w JOIN public.audit_heads h USING (customer_id) JOIN public.customers c USING (customer_id)
  WHERE w.removed_at IS NULL AND h.seq > w.cursor AND c.erased_at IS NULL
$$;
REVOKE ALL ON FUNCTION directory.customers_to_tell() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION directory.customers_to_tell() TO countersign_program;
