-- What may destroy what is sealed is the program's own word, as with audit entries: keys of customers, sealed secrets and the
-- erasure of a customer change only with HMAC(program key, what changes) in the transaction's setting `app.vouched`.

-- Asked by triggers under the program's own role now, too; it reads the key with the owner's rights, and says yes or no.
ALTER FUNCTION sec.refuse_unvouched(text) SECURITY DEFINER;
GRANT EXECUTE ON FUNCTION sec.refuse_unvouched(text) TO countersign_program;

-- Whom row level security does not bind owns the server, and could take the trigger away as well.
CREATE FUNCTION app.keep_keys() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT row_security_active(TG_RELID) OR (TG_OP = 'UPDATE' AND (NEW.state, NEW.wrapped) = (OLD.state, OLD.wrapped)) THEN
    RETURN NEW;
  END IF;
  PERFORM sec.refuse_unvouched(format('key|%s|%s|%s|%s', NEW.customer_id, NEW.version, NEW.state,
    CASE WHEN TG_OP = 'INSERT' OR NEW.wrapped <> OLD.wrapped THEN encode(NEW.wrapped, 'hex') END));
  RETURN NEW;
END $$;
CREATE TRIGGER keep_vouched BEFORE INSERT OR UPDATE ON customer_keys FOR EACH ROW EXECUTE FUNCTION app.keep_keys();

CREATE FUNCTION app.keep_customer() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF row_security_active(TG_RELID) THEN PERFORM sec.refuse_unvouched(format('customer|%s|erased', NEW.customer_id)); END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER keep_vouched BEFORE UPDATE ON customers FOR EACH ROW
  WHEN (OLD.erased_at IS DISTINCT FROM NEW.erased_at) EXECUTE FUNCTION app.keep_customer();

-- One word a statement, over the rows that it changed, by id: a rotation makes hundreds of wraps anew at once. What stands
-- in the columns that a record is bound to can't be changed at all, or is part of the word.
REVOKE UPDATE ON autonomous_credentials FROM countersign_program;
GRANT UPDATE (encrypted_credential, encryption_key_id, secret_version, expires_at, last_rotated_at, rotation_required,
  credential_metadata, updated_at) ON autonomous_credentials TO countersign_program;

CREATE FUNCTION app.keep_credentials() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  customer uuid;
  words text;
BEGIN
  IF NOT row_security_active(TG_RELID) THEN RETURN NULL; END IF;
  IF TG_OP = 'DELETE' THEN
    SELECT min(gone.customer_id::text)::uuid, 'deleted' || string_agg(format(E'\n%s', gone.id), '' ORDER BY gone.id)
      INTO customer, words FROM old_rows gone;
  ELSE
    SELECT min(came.customer_id::text)::uuid, 'sealed' || string_agg(format(E'\n%s|%s|%s|%s|%s', came.id, came.encryption_key_id,
        came.secret_version, (extract(epoch FROM came.expires_at) * 1000)::bigint, encode(came.encrypted_credential, 'hex')), '' ORDER BY came.id)
      INTO customer, words FROM new_rows came JOIN old_rows gone USING (customer_id, id)
      WHERE (came.encryption_key_id, came.secret_version, came.expires_at, came.encrypted_credential)
        IS DISTINCT FROM (gone.encryption_key_id, gone.secret_version, gone.expires_at, gone.encrypted_credential);
  END IF;
  IF customer IS NOT NULL THEN PERFORM sec.refuse_unvouched(format('credential|%s|%s', customer, words)); END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER keep_deleted AFTER DELETE ON autonomous_credentials REFERENCING OLD TABLE AS old_rows
  FOR EACH STATEMENT EXECUTE FUNCTION app.keep_credentials();
CREATE TRIGGER keep_sealed AFTER UPDATE ON autonomous_credentials REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION app.keep_credentials();

-- Pictures of steps, and which chat events had their effect, go when their time is over: with the words of the trail.
GRANT SELECT (customer_id, created_at), DELETE ON screenshots, chat_events TO countersign_retention;

DROP TRIGGER keep_vouched ON autonomous_operations_audit;
CREATE TRIGGER keep_vouched BEFORE INSERT ON autonomous_operations_audit FOR EACH ROW
  WHEN (NEW.kind IN ('retention.dropped', 'retention.swept', 'erasure.completed', 'hold.placed', 'hold.released', 'customer.erased'))
  EXECUTE FUNCTION app.keep_vouched();

-- Deletes what is older than `days` (and than sec.retention says), as many as the header tells, once its own entry is in the
-- chain; nothing under a legal hold.
CREATE FUNCTION app.sweep(header text, OUT seq bigint, OUT hash bytea) LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  customer uuid := sec.customer();
  fields jsonb := header::jsonb;
  before timestamptz := app.now() - make_interval(days => app.audit_days((fields ->> 'days')::int));
  pictures bigint;
  events bigint;
BEGIN
  SELECT a.seq, a.hash INTO seq, hash FROM app.append_audit(header, NULL) a;
  PERFORM app.refuse_held(customer);
  DELETE FROM public.screenshots s WHERE s.customer_id = customer AND s.created_at < before;
  GET DIAGNOSTICS pictures = ROW_COUNT;
  DELETE FROM public.chat_events e WHERE e.customer_id = customer AND e.created_at < before;
  GET DIAGNOSTICS events = ROW_COUNT;
  IF (fields ->> 'kind', fields ->> 'screenshots', fields ->> 'chatEvents')
      IS DISTINCT FROM ('retention.swept', pictures::text, events::text) THEN
    RAISE EXCEPTION 'a sweep says what it takes' USING ERRCODE = 'check_violation';
  END IF;
END $$;
GRANT CREATE ON SCHEMA app TO countersign_retention;
ALTER FUNCTION app.sweep(text) OWNER TO countersign_retention;
REVOKE CREATE ON SCHEMA app FROM countersign_retention;
REVOKE EXECUTE ON FUNCTION app.sweep(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.sweep(text) TO countersign_program;

-- Why somebody denied is theirs to have erased: it stands in the sealed words of the trail alone, so that neither these rows
-- nor a dump of them tell it once the customer's key is gone. What was written here before is there, too, and goes.
CREATE OR REPLACE FUNCTION app.record_request() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO public.consent_events (customer_id, request_id, operation_id, kind, member_id, plan_hash, permissions, expires_at)
      SELECT NEW.customer_id, NEW.id, NEW.operation_id, 'requested', NEW.asked_by, NEW.plan_hash,
        coalesce(NEW.terms, o.plan)::jsonb -> 'permissions', NEW.expires_at
      FROM public.autonomous_operations o WHERE o.customer_id = NEW.customer_id AND o.id = NEW.operation_id;
  ELSIF NEW.decision IS DISTINCT FROM OLD.decision AND NEW.decision <> 'granted' THEN
    INSERT INTO public.consent_events (customer_id, request_id, operation_id, kind, member_id, method, plan_hash)
      VALUES (NEW.customer_id, NEW.id, NEW.operation_id, CASE NEW.decision WHEN 'cancelled' THEN 'withdrawn' ELSE NEW.decision END,
        NEW.decided_by, NEW.method, NEW.plan_hash);
  END IF;
  RETURN NULL;
END $$;

-- AlterTable
ALTER TABLE "consent_requests" DROP COLUMN "reason";

-- Forced row level security hides every row from the owner as well; it is lifted for as long as this takes.
ALTER TABLE consent_events NO FORCE ROW LEVEL SECURITY;
ALTER TABLE autonomous_operations NO FORCE ROW LEVEL SECURITY;
ALTER TABLE consent_events DISABLE TRIGGER append_only;
UPDATE consent_events SET reason = NULL WHERE kind <> 'refused';
UPDATE autonomous_operations SET error_message = NULL WHERE status = 'denied';
ALTER TABLE consent_events ENABLE TRIGGER append_only;
ALTER TABLE consent_events FORCE ROW LEVEL SECURITY;
ALTER TABLE autonomous_operations FORCE ROW LEVEL SECURITY;

-- A refusal is the program's own, and has a code for a reason.
ALTER TABLE consent_events
  ADD CONSTRAINT consent_events_reason_check CHECK (reason IS NULL OR (kind = 'refused' AND reason ~ '^[a-z_]+$'));
