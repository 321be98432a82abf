-- Customers' keys that rotate and die, and a stored secret read in one call.

-- AlterTable
ALTER TABLE "customers" ADD COLUMN     "erased_at" TIMESTAMPTZ(3);

-- AlterTable
ALTER TABLE "customer_keys" ADD COLUMN     "seals" BIGINT NOT NULL DEFAULT 0;

-- What a key may go through --------------------------------------------------------------------------------------------

-- A key that is gone leaves nothing of itself in its row. (The row's earlier version lies in the table's file until it is
-- vacuumed, and in WAL and backups as long as these are kept: wrapped under the root key there, too.)
ALTER TABLE customer_keys
  ADD CONSTRAINT customer_keys_wrapped_check CHECK ((state = 'destroyed') = (wrapped = ''::bytea));

CREATE UNIQUE INDEX customer_keys_active_key ON customer_keys (customer_id) WHERE state = 'active';

REVOKE UPDATE ON customer_keys FROM countersign_program;
GRANT UPDATE (wrapped, state, seals) ON customer_keys TO countersign_program;

-- Whether anything that was sealed still needs this version. Bytes 3 to 6 of a record are the version of its key.
CREATE FUNCTION app.key_is_named(customer uuid, key_version integer) RETURNS boolean LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
  SELECT EXISTS (SELECT FROM public.autonomous_credentials c WHERE c.customer_id = $1
      AND (c.encryption_key_id = 'v' || $2 OR substring(c.encrypted_credential FROM 3 FOR 4) = int4send($2)))
    OR EXISTS (SELECT FROM public.autonomous_operations_audit a WHERE a.customer_id = $1
      AND substring(a.payload FROM 3 FOR 4) = int4send($2))
    OR EXISTS (SELECT FROM public.screenshots s WHERE s.customer_id = $1
      AND substring(s.sealed FROM 3 FOR 4) = int4send($2))
$$;

-- The version to seal under, held until the transaction ends. FOR KEY SHARE is the lock of a foreign key: many may hold it,
-- retiring the version (an UPDATE of no key column) doesn't wait for it, destroying it (FOR UPDATE, below) does. That lock
-- is also granted on a row version that is outdated by now; so a second look, with a snapshot of its own, decides.
CREATE FUNCTION app.active_key(customer uuid) RETURNS TABLE (version integer, wrapped bytea, seals bigint) LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  held integer;
BEGIN
  FOR attempt IN 1..3 LOOP
    SELECT k.version INTO held FROM public.customer_keys k WHERE k.customer_id = customer AND k.state = 'active' FOR KEY SHARE;
    RETURN QUERY SELECT k.version, k.wrapped, k.seals FROM public.customer_keys k
      WHERE k.customer_id = customer AND k.version = held AND k.state = 'active';
    IF FOUND THEN RETURN; END IF;
  END LOOP;
END $$;

-- A version goes from active to decrypt_only to destroyed and never back, and is not destroyed while something needs it,
-- unless its customer is erased. FOR UPDATE waits for everybody who is just sealing under it, so that what they write is seen
-- by the question that follows.
CREATE FUNCTION app.guard_key() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  is_erased boolean := EXISTS (SELECT FROM public.customers c WHERE c.customer_id = NEW.customer_id AND c.erased_at IS NOT NULL);
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF is_erased THEN
      RAISE EXCEPTION 'an erased customer gets no key' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
  END IF;
  IF OLD.state = 'destroyed' OR NEW.seals < OLD.seals OR (OLD.state = 'decrypt_only' AND NEW.state = 'active')
    OR (OLD.state = 'active' AND NEW.state = 'destroyed' AND NOT is_erased) THEN
    RAISE EXCEPTION 'a key does not come back' USING ERRCODE = 'insufficient_privilege';
  END IF;
  IF NEW.state = 'destroyed' THEN
    PERFORM FROM public.customer_keys k WHERE k.customer_id = NEW.customer_id AND k.version = OLD.version FOR UPDATE;
    IF NOT is_erased AND app.key_is_named(NEW.customer_id, OLD.version) THEN
      RAISE EXCEPTION 'key version % is still needed', OLD.version USING ERRCODE = 'restrict_violation';
    END IF;
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER guard_key BEFORE INSERT OR UPDATE ON customer_keys FOR EACH ROW EXECUTE FUNCTION app.guard_key();

CREATE FUNCTION app.keep_erasure() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF OLD.erased_at IS NOT NULL AND NEW.erased_at IS DISTINCT FROM OLD.erased_at THEN
    RAISE EXCEPTION 'an erasure cannot be undone' USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER keep_erasure BEFORE UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION app.keep_erasure();

GRANT EXECUTE ON FUNCTION app.key_is_named(uuid, integer), app.active_key(uuid), app.guard_key(), app.keep_erasure() TO countersign_program;

-- Reading a stored secret ----------------------------------------------------------------------------------------------
-- Context, fence, row, key and audit entry in one statement, which is its own transaction: one round trip, one commit. With
-- the rights of the caller, so row level security holds inside. The header names the credential by the nil UUID, and the
-- row's id takes its place: 36 characters for 36, so it stays RFC 8785. Found and on record go together; `absent` (also:
-- expired, by the database's clock), `several` (no target was named) and `moved` (the fence is another one) read nothing.
CREATE FUNCTION app.open_credential(customer uuid, expires bigint, token bytea, of_service text, of_target text, of_type text,
  of_operation text, holder text, holder_fence bigint, header text)
RETURNS TABLE (outcome text, id uuid, service text, target text, credential_type text, operation_id text, record bytea,
  secret_version integer, expires_at timestamptz, last_rotated_at timestamptz, rotation_required boolean, metadata jsonb,
  created_at timestamptz, key_version integer, key_wrapped bytea, key_state text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  shop text := of_target;
  candidates bigint;
BEGIN
  PERFORM sec.enter(customer, expires, token);
  outcome := 'absent';
  IF holder_fence IS NOT NULL THEN
    PERFORM FROM public.autonomous_operations o
      WHERE o.customer_id = customer AND o.id = holder AND o.fence = holder_fence AND o.status = 'in_progress' FOR NO KEY UPDATE;
    IF NOT FOUND THEN
      outcome := 'moved';
      RETURN NEXT;
      RETURN;
    END IF;
  END IF;
  IF shop IS NULL THEN
    SELECT count(*), min(c.target) INTO candidates, shop FROM public.autonomous_credentials c
      WHERE c.customer_id = customer AND c.service = of_service AND c.credential_type = of_type
        AND c.operation_id IS NOT DISTINCT FROM of_operation AND (c.expires_at IS NULL OR c.expires_at > app.now());
    IF candidates > 1 THEN
      outcome := 'several';
      RETURN NEXT;
      RETURN;
    END IF;
  END IF;
  SELECT 'found', c.id, c.service, c.target, c.credential_type, c.operation_id, c.encrypted_credential, c.secret_version,
      c.expires_at, c.last_rotated_at, c.rotation_required, c.credential_metadata, c.created_at, k.version, k.wrapped, k.state
    INTO outcome, id, service, target, credential_type, operation_id, record, secret_version,
      expires_at, last_rotated_at, rotation_required, metadata, created_at, key_version, key_wrapped, key_state
    FROM public.autonomous_credentials c
    LEFT JOIN public.customer_keys k ON k.customer_id = c.customer_id AND 'v' || k.version = c.encryption_key_id
    WHERE c.customer_id = customer AND c.service = of_service AND c.target = shop AND c.credential_type = of_type
      AND c.operation_id IS NOT DISTINCT FROM of_operation AND (c.expires_at IS NULL OR c.expires_at > app.now());
  IF NOT FOUND THEN
    outcome := 'absent';
  ELSE
    PERFORM app.append_audit(replace(header, '00000000-0000-0000-0000-000000000000', id::text), NULL);
  END IF;
  RETURN NEXT;
END $$;
GRANT EXECUTE ON FUNCTION app.open_credential(uuid, bigint, bytea, text, text, text, text, text, bigint, text) TO countersign_program;

-- For upkeep, which goes from customer to customer ----------------------------------------------------------------------

CREATE POLICY directory ON customers FOR SELECT TO CURRENT_USER USING (true);

-- All of them, for work that goes from one to the next; the erased ones hold nothing to work on.
CREATE FUNCTION directory.customers() RETURNS SETOF uuid LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
  SELECT c.customer_id FROM public.customers c WHERE c.erased_at IS NULL ORDER BY c.customer_id
$$;
GRANT EXECUTE ON FUNCTION directory.customers() TO countersign_program;
