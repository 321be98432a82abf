-- Whether a webhook is told of something is the program's own word, too: whoever gets SQL into its connection neither ends one nor
-- moves it past what it was not told of.
CREATE OR REPLACE FUNCTION app.keep_webhook() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT row_security_active(TG_RELID) THEN RETURN NEW; END IF;
  IF TG_OP = 'INSERT' THEN
    PERFORM sec.take_word(format('webhook|%s|%s|%s|%s|%s', NEW.customer_id, NEW.id, NEW.url, array_to_string(NEW.kinds, ','),
      encode(NEW.sealed, 'hex')));
    RETURN NEW;
  END IF;
  IF (NEW.sealed, NEW.removed_at) IS DISTINCT FROM (OLD.sealed, OLD.removed_at) THEN
    IF NEW.sealed IS NOT NULL OR OLD.removed_at IS NOT NULL THEN
      RAISE EXCEPTION 'a webhook keeps its secret, and stays removed' USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM sec.take_word(format('webhook|%s|%s|removed', NEW.customer_id, NEW.id));
  END IF;
  IF NEW.cursor IS DISTINCT FROM OLD.cursor THEN
    PERFORM sec.take_word(format('webhook|%s|%s|cursor|%s', NEW.customer_id, NEW.id, NEW.cursor));
  END IF;
  RETURN NEW;
END $$;

-- What a run asks a person is answered by somebody, as all that is done by the API.
ALTER TABLE api_tokens DROP CONSTRAINT api_tokens_member_check;
ALTER TABLE api_tokens ADD CONSTRAINT api_tokens_member_check CHECK (
  member_id IS NOT NULL OR NOT scopes && ARRAY['operations:write', 'consent:decide', 'credentials:write', 'questions:answer']);

-- Whose link to the console this was: whoever holds one that was used is told so, and not that it may never have been.
CREATE FUNCTION directory.customer_of_spent_console_link(link_hash bytea) RETURNS uuid LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
  SELECT s.customer_id FROM public.console_sessions s JOIN public.customers c USING (customer_id)
  WHERE s.link_hash = $1 AND s.session_hash IS NOT NULL AND c.erased_at IS NULL
$$;
GRANT EXECUTE ON FUNCTION directory.customer_of_spent_console_link(bytea) TO countersign_program;
