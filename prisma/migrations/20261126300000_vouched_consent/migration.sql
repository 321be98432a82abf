-- Who countersigned, who may, by which rules, and what opens a vault from outside is the program's own word, as with audit
-- entries and keys: whoever gets SQL into its connection countersigns nothing, not even inside the customer it landed in. To
-- revoke, to deny and to take a token back need no word: they only stop things.

-- One word, one row: used up by the row that it is for, so that no later statement finds it.
CREATE FUNCTION sec.take_word(words text) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM sec.refuse_unvouched(words);
  PERFORM set_config('app.vouched', '', true);
END $$;
GRANT EXECUTE ON FUNCTION sec.take_word(text) TO countersign_program;

-- Whom row level security does not bind owns the server, and could take these triggers away as well.

CREATE FUNCTION app.keep_approval() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF row_security_active(TG_RELID) THEN
    PERFORM sec.take_word(format('approval|%s|%s|%s|%s|%s|%s|%s|%s', NEW.customer_id, NEW.request_id, NEW.operation_id, NEW.member_id,
      NEW.plan_hash, NEW.method, array_to_string(ARRAY(SELECT jsonb_array_elements_text(NEW.permissions)), ','), NEW.basis));
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER keep_vouched BEFORE INSERT ON consent_events FOR EACH ROW
  WHEN (NEW.kind = 'approved') EXECUTE FUNCTION app.keep_approval();

CREATE FUNCTION app.keep_consent() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF row_security_active(TG_RELID) THEN
    PERFORM sec.take_word(format('consent|%s|%s|%s|%s|%s|%s|%s|%s|%s|%s|%s', NEW.customer_id, NEW.id, NEW.request_id, NEW.operation_id,
      NEW.user_id, NEW.plan_hash, (extract(epoch FROM NEW.expires_at) * 1000)::bigint, NEW.extends, NEW.template_hash,
      array_to_string(ARRAY(SELECT jsonb_array_elements_text(NEW.permissions)), ','), array_to_string(NEW.keeps, ',')));
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER keep_vouched BEFORE INSERT ON autonomous_consent FOR EACH ROW EXECUTE FUNCTION app.keep_consent();

-- Anybody who writes in a workspace is a merchant there. Whose account a member is can't be changed at all.
CREATE FUNCTION app.keep_member() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  roles text[] := '{merchant}';
  person uuid;
BEGIN
  IF NOT row_security_active(TG_RELID) THEN RETURN NEW; END IF;
  IF TG_OP = 'UPDATE' THEN
    roles := OLD.roles;
    person := OLD.person_id;
  END IF;
  IF NEW.roles IS DISTINCT FROM roles THEN
    PERFORM sec.take_word(format('member|%s|%s|roles|%s', NEW.customer_id, NEW.id, array_to_string(NEW.roles, ',')));
  END IF;
  IF NEW.person_id IS DISTINCT FROM person THEN
    PERFORM sec.take_word(format('member|%s|%s|person|%s', NEW.customer_id, NEW.id, NEW.person_id));
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER keep_vouched BEFORE INSERT OR UPDATE ON members FOR EACH ROW EXECUTE FUNCTION app.keep_member();
REVOKE UPDATE ON members FROM countersign_program;
GRANT UPDATE (name, roles, person_id) ON members TO countersign_program;

CREATE FUNCTION app.keep_rules() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT row_security_active(TG_RELID) THEN RETURN NEW; END IF;
  IF NEW.may_work_alone <> OLD.may_work_alone THEN
    PERFORM sec.take_word(format('rules|%s|alone|%s', NEW.customer_id, NEW.may_work_alone::text));
  END IF;
  IF (NEW.approvals_required, NEW.admins_approve, NEW.approver_group)
      IS DISTINCT FROM (OLD.approvals_required, OLD.admins_approve, OLD.approver_group) THEN
    PERFORM sec.take_word(format('rules|%s|approvals|%s|%s|%s', NEW.customer_id, NEW.approvals_required, NEW.admins_approve::text,
      NEW.approver_group));
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER keep_rules BEFORE UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION app.keep_rules();

-- Who asked, who added to it, and where, decides who may approve. A question names all of them but the requester, who stays
-- whoever the operation says.
CREATE FUNCTION app.keep_question() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF row_security_active(TG_RELID) THEN
    PERFORM sec.take_word(format('question|%s|%s|%s|%s|%s|%s|%s', NEW.customer_id, NEW.id, NEW.operation_id, NEW.plan_hash, NEW.asked_by,
      array_to_string(ARRAY(SELECT jsonb_array_elements_text(NEW.asked_for)), ','),
      (SELECT string_agg(key || '=' || value, ',' ORDER BY (key || '=' || value) COLLATE "C") FROM jsonb_each_text(NEW.widened))));
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER keep_vouched BEFORE INSERT ON consent_requests FOR EACH ROW EXECUTE FUNCTION app.keep_question();
REVOKE UPDATE ON autonomous_operations, threads FROM countersign_program;
GRANT UPDATE (status, fence, plan, plan_hash, permissions, consent_given, consent_timestamp, consent_expires_at, started_at,
  completed_at, current_step, result, error_code, error_message, execution_metadata, job_id, updated_at)
  ON autonomous_operations TO countersign_program;
GRANT UPDATE (awaiting, cursor) ON threads TO countersign_program;

CREATE FUNCTION app.keep_token() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF row_security_active(TG_RELID) THEN
    PERFORM sec.take_word(format('token|%s|%s|%s|%s|%s', NEW.customer_id, NEW.id, encode(NEW.token_hash, 'hex'),
      (extract(epoch FROM NEW.expires_at) * 1000)::bigint, array_to_string(NEW.scopes, ',')));
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER keep_vouched BEFORE INSERT ON api_tokens FOR EACH ROW EXECUTE FUNCTION app.keep_token();

CREATE FUNCTION app.keep_link() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF row_security_active(TG_RELID) THEN
    PERFORM sec.take_word(format('link|%s|%s|%s|%s|%s|%s', NEW.customer_id, NEW.id, encode(NEW.token_hash, 'hex'), NEW.purpose,
      NEW.operation_id, NEW.member_id));
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER keep_vouched BEFORE INSERT ON connect_links FOR EACH ROW EXECUTE FUNCTION app.keep_link();

-- Every entry is the program's own word again, sweeps included: the trigger for those that retention and erasure trust had
-- taken the place of the one for all.
DROP TRIGGER keep_vouched ON autonomous_operations_audit;
CREATE TRIGGER keep_vouched BEFORE INSERT ON autonomous_operations_audit FOR EACH ROW EXECUTE FUNCTION app.keep_entries();
