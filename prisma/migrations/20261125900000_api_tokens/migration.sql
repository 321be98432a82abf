-- Bearer tokens of the HTTP API, and the one mechanism that limits how often something happens.

-- CreateTable
CREATE TABLE "api_tokens" (
    "customer_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "token_hash" BYTEA NOT NULL,
    "scopes" TEXT[],
    "created_by" UUID,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,
    "last_used_at" TIMESTAMPTZ(3),
    "revoked_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT app.now(),

    CONSTRAINT "api_tokens_pkey" PRIMARY KEY ("customer_id","id")
);

-- CreateTable
CREATE TABLE "limits" (
    "customer_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "remaining" DOUBLE PRECISION NOT NULL,
    "at" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "limits_pkey" PRIMARY KEY ("customer_id","name")
);

-- CreateIndex
CREATE UNIQUE INDEX "api_tokens_token_hash_key" ON "api_tokens"("token_hash");

-- AddForeignKey
ALTER TABLE "api_tokens" ADD CONSTRAINT "api_tokens_customer_id_fkey" FOREIGN KEY ("customer_id") REFERENCES "customers"("customer_id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "api_tokens" ADD CONSTRAINT "api_tokens_customer_id_created_by_fkey" FOREIGN KEY ("customer_id", "created_by") REFERENCES "members"("customer_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "limits" ADD CONSTRAINT "limits_customer_id_fkey" FOREIGN KEY ("customer_id") REFERENCES "customers"("customer_id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- Rules that a row can't break ---------------------------------------------------------------------------------------

ALTER TABLE api_tokens
  ADD CONSTRAINT api_tokens_token_hash_check CHECK (octet_length(token_hash) = 32),
  ADD CONSTRAINT api_tokens_scopes_check CHECK (coalesce(cardinality(scopes), 0) > 0);
ALTER TABLE limits
  ADD CONSTRAINT limits_remaining_check CHECK (remaining >= 0);

DO $$
DECLARE
  t text;
  c record;
BEGIN
  FOREACH t IN ARRAY ARRAY['api_tokens', 'limits']
  LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY own_rows ON %I USING (customer_id = (SELECT sec.customer())) WITH CHECK (customer_id = (SELECT sec.customer()))', t);
    -- No samples for the planner: estimates would tell of other customers.
    FOR c IN SELECT a.attname AS name FROM pg_attribute a WHERE a.attrelid = t::regclass AND a.attnum > 0 LOOP
      EXECUTE format('ALTER TABLE %I ALTER COLUMN %I SET STATISTICS 0', t, c.name);
    END LOOP;
  END LOOP;
END $$;

-- A token stays what it was made as: the program notes its uses and takes it back, and nothing else.
GRANT SELECT, INSERT, UPDATE (last_used_at, revoked_at) ON api_tokens TO countersign_program;
GRANT SELECT, INSERT, UPDATE (remaining, at) ON limits TO countersign_program;

CREATE FUNCTION app.keep_token_revocation() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS DISTINCT FROM OLD.revoked_at THEN
    RAISE EXCEPTION 'a revocation cannot be undone' USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER keep_revocation BEFORE UPDATE ON api_tokens FOR EACH ROW EXECUTE FUNCTION app.keep_token_revocation();
GRANT EXECUTE ON FUNCTION app.keep_token_revocation() TO countersign_program;

-- Whose token this is, if it is good for anything: absent, expired, revoked and that of an erased customer are one answer,
-- after one look at one index.
CREATE POLICY directory ON api_tokens FOR SELECT TO CURRENT_USER USING (true);
CREATE FUNCTION directory.customer_of_token(token_hash bytea) RETURNS uuid LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
  SELECT t.customer_id FROM public.api_tokens t JOIN public.customers c USING (customer_id)
  WHERE t.token_hash = $1 AND t.revoked_at IS NULL AND t.expires_at > app.now() AND c.erased_at IS NULL
$$;
GRANT EXECUTE ON FUNCTION directory.customer_of_token(bytea) TO countersign_program;
