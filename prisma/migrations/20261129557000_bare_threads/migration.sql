-- Threads where nobody ever asked for anything, nothing is edited and nobody's answer is waited for: of a chat with one person, such as
-- one in Slack, the reference leads to them, and nothing here says to whom. All of them go with any person: who writes there again
-- finds a new one. Not those of the last minute, in which a message may be in the middle of becoming a request.
CREATE FUNCTION app.forget_bare_threads() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  customer uuid := sec.customer();
  gone bigint;
BEGIN
  PERFORM app.refuse_held(customer);
  DELETE FROM public.threads t WHERE t.customer_id = customer AND t.created_at < app.now() - interval '1 minute' AND t.awaiting IS NULL
    AND NOT EXISTS (SELECT FROM public.autonomous_operations o WHERE o.customer_id = customer AND o.thread_id = t.id)
    AND NOT EXISTS (SELECT FROM public.thread_messages m WHERE m.customer_id = customer AND m.thread_id = t.id);
  GET DIAGNOSTICS gone = ROW_COUNT;
  RETURN gone;
END $$;

GRANT CREATE ON SCHEMA app TO countersign_retention;
ALTER FUNCTION app.forget_bare_threads() OWNER TO countersign_retention;
REVOKE CREATE ON SCHEMA app FROM countersign_retention;
REVOKE ALL ON FUNCTION app.forget_bare_threads() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.forget_bare_threads() TO countersign_program;
