-- What keeps the chain honest from outside, and the only two ways in which anything of it may go: retention and erasure.

-- CreateTable
CREATE TABLE "audit_checkpoints" (
    "customer_id" UUID NOT NULL,
    "seq" BIGINT NOT NULL,
    "hash" BYTEA NOT NULL,
    "note" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT app.now(),

    CONSTRAINT "audit_checkpoints_pkey" PRIMARY KEY ("customer_id","seq")
);

-- AddForeignKey
ALTER TABLE "audit_checkpoints" ADD CONSTRAINT "audit_checkpoints_customer_id_fkey" FOREIGN KEY ("customer_id") REFERENCES "customers"("customer_id") ON DELETE RESTRICT ON UPDATE CASCADE;

ALTER TABLE audit_checkpoints ADD CONSTRAINT audit_checkpoints_hash_check CHECK (octet_length(hash) = 32);
ALTER TABLE audit_checkpoints ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_checkpoints FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON audit_checkpoints USING (customer_id = (SELECT sec.customer())) WITH CHECK (customer_id = (SELECT sec.customer()));
GRANT SELECT ON audit_checkpoints TO countersign_program;

-- The role of retention and erasure: nobody logs in as it, and two functions run with its rights. Like the program's group
-- it belongs to the whole server; an owner without CREATEROLE finds it made beforehand, and is a member to hand them over.
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'countersign_retention') THEN
    CREATE ROLE countersign_retention NOLOGIN;
    GRANT countersign_retention TO CURRENT_USER;
  END IF;
EXCEPTION
  WHEN duplicate_object OR unique_violation THEN NULL;
END
$$;
GRANT USAGE ON SCHEMA public, app, sec TO countersign_retention;
GRANT SELECT, DELETE, UPDATE (payload) ON autonomous_operations_audit TO countersign_retention;
GRANT SELECT ON audit_checkpoints TO countersign_retention;
GRANT EXECUTE ON FUNCTION app.now(), sec.customer(), app.append_audit(text, bytea) TO countersign_retention;

-- No entry goes sooner than this, whatever the program asks for; the owner writes it when it migrates.
CREATE TABLE sec.retention (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  audit_days int NOT NULL CHECK (audit_days >= 1)
);
INSERT INTO sec.retention (audit_days) VALUES (90);

-- How many days entries are kept when so many were asked for.
CREATE FUNCTION app.audit_days(asked int) RETURNS int LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT greatest(asked, r.audit_days) FROM sec.retention r
$$;
GRANT EXECUTE ON FUNCTION app.audit_days(int) TO countersign_program, countersign_retention;

-- Still refuses everybody, the owner included, and lets the functions of that role through.
CREATE OR REPLACE FUNCTION app.refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF current_user = 'countersign_retention' AND TG_OP <> 'TRUNCATE' THEN RETURN NULL; END IF;
  RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_checkpoints
  FOR EACH STATEMENT EXECUTE FUNCTION app.refuse_change();

-- Keeps a signed checkpoint beside the chain that it is about; an entry that isn't there can't be vouched for.
CREATE FUNCTION app.record_checkpoint(at_seq bigint, at_hash bytea, note text) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  customer uuid := sec.customer();
BEGIN
  IF NOT EXISTS (SELECT FROM public.autonomous_operations_audit a
    WHERE a.customer_id = customer AND a.seq = at_seq AND a.hash = at_hash) THEN
    RAISE EXCEPTION 'there is no such entry to vouch for' USING ERRCODE = 'check_violation';
  END IF;
  INSERT INTO public.audit_checkpoints (customer_id, seq, hash, note) VALUES (customer, at_seq, at_hash, note)
    ON CONFLICT DO NOTHING;
END $$;
GRANT EXECUTE ON FUNCTION app.record_checkpoint(bigint, bytea, text) TO countersign_program;

CREATE FUNCTION app.refuse_held(customer uuid) RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF 'hold.placed' = (SELECT a.kind FROM public.autonomous_operations_audit a
    WHERE a.customer_id = customer AND a.kind IN ('hold.placed', 'hold.released') ORDER BY a.seq DESC LIMIT 1) THEN
    RAISE EXCEPTION 'a legal hold keeps this trail as it is' USING ERRCODE = 'check_violation', CONSTRAINT = 'legal_hold';
  END IF;
END $$;
GRANT EXECUTE ON FUNCTION app.refuse_held(uuid) TO countersign_retention;

-- Drops the entries up to the header's `droppedSeq`, once its own entry is in the chain: only what is older than `days` (and
-- than sec.retention says), only what a recorded checkpoint reaches, and nothing under a legal hold. The append comes first:
-- it locks the head, so that nobody places a hold meanwhile.
CREATE FUNCTION app.drop_audit(header text, OUT seq bigint, OUT hash bytea, OUT dropped bigint) LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  customer uuid := sec.customer();
  fields jsonb := header::jsonb;
  last bigint := (fields ->> 'droppedSeq')::bigint;
  days int := app.audit_days((fields ->> 'days')::int);
BEGIN
  SELECT a.seq, a.hash INTO seq, hash FROM app.append_audit(header, NULL) a;
  PERFORM app.refuse_held(customer);
  IF fields ->> 'kind' IS DISTINCT FROM 'retention.dropped' OR NOT EXISTS (
    SELECT FROM public.autonomous_operations_audit a WHERE a.customer_id = customer AND a.seq = last
      AND encode(a.hash, 'hex') = fields ->> 'droppedHash' AND a.at < app.now() - make_interval(days => days)) THEN
    RAISE EXCEPTION 'these entries are not to be dropped yet' USING ERRCODE = 'check_violation';
  END IF;
  IF NOT EXISTS (
    SELECT FROM public.audit_checkpoints c JOIN public.autonomous_operations_audit a USING (customer_id, seq, hash)
    WHERE c.customer_id = customer AND c.seq >= last AND c.seq::text = fields ->> 'checkpointSeq') THEN
    RAISE EXCEPTION 'no signed checkpoint reaches these entries' USING ERRCODE = 'check_violation';
  END IF;
  DELETE FROM public.autonomous_operations_audit a WHERE a.customer_id = customer AND a.seq <= last;
  GET DIAGNOSTICS dropped = ROW_COUNT;
END $$;

-- Takes the words of the header's `erased` ranges away, once its own entry is in the chain. The entries stay.
CREATE FUNCTION app.erase_payloads(header text, OUT seq bigint, OUT hash bytea, OUT erased bigint) LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  customer uuid := sec.customer();
  fields jsonb := header::jsonb;
BEGIN
  SELECT a.seq, a.hash INTO seq, hash FROM app.append_audit(header, NULL) a;
  PERFORM app.refuse_held(customer);
  IF fields ->> 'kind' IS DISTINCT FROM 'erasure.completed' THEN
    RAISE EXCEPTION 'an erasure says that it is one' USING ERRCODE = 'check_violation';
  END IF;
  UPDATE public.autonomous_operations_audit a SET payload = NULL FROM jsonb_array_elements(fields -> 'erased') r
    WHERE a.customer_id = customer AND a.payload IS NOT NULL AND a.seq BETWEEN (r ->> 0)::bigint AND (r ->> 1)::bigint;
  GET DIAGNOSTICS erased = ROW_COUNT;
END $$;

-- A function's new owner needs CREATE on its schema at that moment, and at no other.
GRANT CREATE ON SCHEMA app TO countersign_retention;
ALTER FUNCTION app.drop_audit(text) OWNER TO countersign_retention;
ALTER FUNCTION app.erase_payloads(text) OWNER TO countersign_retention;
REVOKE CREATE ON SCHEMA app FROM countersign_retention;
REVOKE EXECUTE ON FUNCTION app.drop_audit(text), app.erase_payloads(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.drop_audit(text), app.erase_payloads(text) TO countersign_program;

-- Customers with a trail, and those whose trail has grown since its last checkpoint.
CREATE POLICY directory ON audit_heads FOR SELECT TO CURRENT_USER USING (true);
CREATE POLICY directory ON audit_checkpoints FOR SELECT TO CURRENT_USER USING (true);
CREATE FUNCTION directory.customers_on_record() RETURNS SETOF uuid LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
  SELECT h.customer_id FROM public.audit_heads h
$$;
CREATE FUNCTION directory.customers_past_checkpoint() RETURNS SETOF uuid LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
  SELECT h.customer_id FROM public.audit_heads h
  WHERE h.seq > coalesce((SELECT max(c.seq) FROM public.audit_checkpoints c WHERE c.customer_id = h.customer_id), 0)
$$;
GRANT EXECUTE ON FUNCTION directory.customers_on_record(), directory.customers_past_checkpoint() TO countersign_program;
