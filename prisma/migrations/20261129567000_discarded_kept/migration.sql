-- Retention forgot what an admin had discarded, and the next run took it again.

-- What is over for longer than `days` (and than sec.retention says): one-time links, sessions of the console, API tokens, webhooks
-- that were removed, installations that were cleared, limits, what was learned of pages; operations whose trail is gone, with all
-- that is theirs, unless a key that is stored, a countersignature that holds, or something newer rests on them; threads that no
-- operation is about. Nothing of a held operation, and nothing at all under a hold of the customer. `gone`: how many rows.
CREATE OR REPLACE FUNCTION app.forget_old(header text, OUT seq bigint, OUT hash bytea, OUT gone bigint) LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  customer uuid := sec.customer();
  fields jsonb := header::jsonb;
  before timestamptz := app.now() - make_interval(days => app.audit_days((fields ->> 'days')::int));
  kept text[] := ARRAY(SELECT app.held_operations(customer));
  op text;
  aged record;
  child text;
  part bigint;
BEGIN
  gone := 0;
  IF fields ->> 'kind' IS DISTINCT FROM 'retention.forgotten' THEN
    RAISE EXCEPTION 'what is forgotten is said to be' USING ERRCODE = 'check_violation';
  END IF;
  DELETE FROM public.connect_links l WHERE l.customer_id = customer AND l.expires_at < before AND l.operation_id <> ALL (kept);
  GET DIAGNOSTICS part = ROW_COUNT;
  gone := gone + part;
  DELETE FROM public.console_sessions s WHERE s.customer_id = customer AND coalesce(s.ended_at, s.expires_at, s.link_expires_at) < before;
  GET DIAGNOSTICS part = ROW_COUNT;
  gone := gone + part;
  DELETE FROM public.api_tokens t WHERE t.customer_id = customer AND least(t.revoked_at, t.expires_at) < before
    AND NOT EXISTS (SELECT FROM public.api_answers n WHERE n.customer_id = customer AND n.token_id = t.id);
  GET DIAGNOSTICS part = ROW_COUNT;
  gone := gone + part;
  DELETE FROM public.webhooks w WHERE w.customer_id = customer AND w.removed_at < before;
  GET DIAGNOSTICS part = ROW_COUNT;
  gone := gone + part;
  DELETE FROM public.slack_installations i WHERE i.customer_id = customer AND i.cleared_at < before;
  GET DIAGNOSTICS part = ROW_COUNT;
  gone := gone + part;
  DELETE FROM public.limits l WHERE l.customer_id = customer AND l.at < before;
  GET DIAGNOSTICS part = ROW_COUNT;
  gone := gone + part;
  -- What an admin has discarded never holds again, and stays discarded: until it is restored, or a later version of the workflow is what
  -- runs there.
  DELETE FROM public.workflow_proposals p WHERE p.customer_id = customer AND p.last_held_at < before AND p.operation_id <> ALL (kept)
    AND (p.discarded_at IS NULL OR EXISTS (SELECT FROM public.autonomous_operations o WHERE o.customer_id = customer
      AND o.workflow_id = p.workflow_id AND o.workflow_version > p.workflow_version AND o.target = p.target));
  GET DIAGNOSTICS part = ROW_COUNT;
  gone := gone + part;
  -- Tables to come say by their comment from when on a row of theirs is over: COMMENT ON TABLE … IS 'retention: column'.
  FOR aged IN
    SELECT c.relname::text AS name, substring(obj_description(c.oid, 'pg_class') FROM '^retention: ([a-z_]+)$') AS col,
      EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'operation_id' AND NOT a.attisdropped) AS is_of_operation
    FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
      AND obj_description(c.oid, 'pg_class') ~ '^retention: [a-z_]+$'
  LOOP
    EXECUTE format('DELETE FROM public.%I WHERE customer_id = $1 AND %I < $2', aged.name, aged.col)
      || CASE WHEN aged.is_of_operation THEN ' AND coalesce(operation_id, '''') <> ALL ($3)' ELSE ' AND $3 IS NOT NULL' END
      USING customer, before, kept;
    GET DIAGNOSTICS part = ROW_COUNT;
    gone := gone + part;
  END LOOP;
  FOR op IN
    SELECT o.id FROM public.autonomous_operations o
    WHERE o.customer_id = customer AND o.updated_at < before AND o.id <> ALL (kept)
      AND o.status IN ('completed', 'denied', 'expired', 'cancelled', 'failed')
      AND NOT EXISTS (SELECT FROM public.autonomous_operations_audit a WHERE a.customer_id = customer AND a.operation_id = o.id)
      AND NOT EXISTS (SELECT FROM public.autonomous_credentials c WHERE c.customer_id = customer
        AND (c.operation_id = o.id OR c.credential_metadata ->> 'operationId' = o.id))
      AND NOT EXISTS (SELECT FROM public.autonomous_consent g WHERE g.customer_id = customer AND g.operation_id = o.id
        AND g.revoked_at IS NULL AND coalesce(g.expires_at, 'infinity') > app.now())
      -- What it learned of a page, and runs still find things by.
      AND NOT EXISTS (SELECT FROM public.workflow_proposals p WHERE p.customer_id = customer AND p.operation_id = o.id)
      AND NOT EXISTS (SELECT FROM public.screenshots p WHERE p.customer_id = customer AND p.operation_id = o.id AND p.created_at >= before)
    ORDER BY o.created_at DESC LIMIT 1000
  LOOP
    BEGIN
      part := 0;
      FOREACH child IN ARRAY ARRAY['consent_events', 'autonomous_consent', 'consent_requests', 'questions', 'model_calls',
        'operation_intents', 'operation_steps', 'connect_links', 'screenshots'] LOOP
        EXECUTE format('DELETE FROM public.%I WHERE customer_id = $1 AND operation_id = $2', child) USING customer, op;
      END LOOP;
      DELETE FROM public.autonomous_operations o WHERE o.customer_id = customer AND o.id = op;
      gone := gone + 1;
    EXCEPTION WHEN foreign_key_violation THEN
      NULL; -- something that is still needed names it
    END;
  END LOOP;
  -- A conversation by which people are reached stays, also one that is closed by now: that the app was somewhere once, and where it
  -- can't be reached, is known by nothing else.
  DELETE FROM public.thread_messages m USING public.threads t
    WHERE t.customer_id = customer AND m.customer_id = customer AND m.thread_id = t.id AND m.created_at < before AND t.created_at < before
      AND m.slot <> 'reference'
      AND NOT EXISTS (SELECT FROM public.autonomous_operations o WHERE o.customer_id = customer AND o.thread_id = t.id);
  GET DIAGNOSTICS part = ROW_COUNT;
  gone := gone + part;
  DELETE FROM public.threads t WHERE t.customer_id = customer AND t.created_at < before
    AND NOT EXISTS (SELECT FROM public.autonomous_operations o WHERE o.customer_id = customer AND o.thread_id = t.id)
    AND NOT EXISTS (SELECT FROM public.thread_messages m WHERE m.customer_id = customer AND m.thread_id = t.id);
  GET DIAGNOSTICS part = ROW_COUNT;
  gone := gone + part;
  IF gone > 0 THEN
    SELECT a.seq, a.hash INTO seq, hash FROM app.append_audit(header, NULL) a; -- locks the head: a hold came before, or comes after
    PERFORM app.refuse_held(customer);
  END IF;
END $$;
