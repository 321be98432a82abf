-- Operations with all that people are shown of them, in one statement: pages and programs ask for them many times a second.
-- Where it is asked for in a transaction, the customer was entered before; see core/operations/parts.ts.
CREATE FUNCTION app.operation_parts(customer uuid, wanted text[])
RETURNS TABLE (operation jsonb, platform text, workspace_id text, request jsonb, events jsonb, consent jsonb, intent jsonb,
  sign_in jsonb, is_key_stored boolean, steps jsonb, pictures jsonb, retried_as text, people jsonb)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT to_jsonb(o), t.platform, t.workspace_id, r.row,
    coalesce((SELECT jsonb_agg(jsonb_build_object('kind', e.kind, 'memberId', e.member_id, 'at', e.at) ORDER BY e.n)
      FROM public.consent_events e
      WHERE e.customer_id = o.customer_id AND e.request_id = r.id AND e.kind IN ('approved', 'reminded')), '[]'),
    c.row, i.row,
    CASE WHEN s.actor IS NOT NULL THEN jsonb_build_object('actor', s.actor, 'at', s.at) END,
    EXISTS (SELECT FROM public.autonomous_credentials k WHERE k.customer_id = o.customer_id AND k.operation_id IS NULL
      AND k.credential_metadata ->> 'operationId' = o.id),
    coalesce((SELECT jsonb_agg(to_jsonb(x) ORDER BY x.number) FROM public.operation_steps x
      WHERE x.customer_id = o.customer_id AND x.operation_id = o.id), '[]'),
    coalesce((SELECT jsonb_agg(p.id) FROM public.screenshots p
      WHERE p.customer_id = o.customer_id AND p.operation_id = o.id), '[]'),
    CASE WHEN o.completed_at IS NOT NULL THEN
      (SELECT y.id FROM public.autonomous_operations y WHERE y.customer_id = o.customer_id AND y.retry_of = o.id) END,
    (SELECT jsonb_agg(to_jsonb(m)) FROM public.members m WHERE m.customer_id = o.customer_id AND m.id = ANY (
      ARRAY[o.user_id, o.held_by, r.decided_by, c.user_id, s.actor::uuid]
      || ARRAY(SELECT w.value::uuid FROM jsonb_each_text(r.widened) w)
      || ARRAY(SELECT e.member_id FROM public.consent_events e
        WHERE e.customer_id = o.customer_id AND e.request_id = r.id AND e.kind = 'approved')))
  FROM public.autonomous_operations o
  JOIN public.threads t ON t.customer_id = o.customer_id AND t.id = o.thread_id
  LEFT JOIN LATERAL (SELECT q.id, q.decided_by, q.widened, to_jsonb(q) AS row FROM public.consent_requests q
    WHERE q.customer_id = o.customer_id AND q.operation_id = o.id AND q.terms IS NULL
    ORDER BY q.asked_at DESC LIMIT 1) r ON true
  LEFT JOIN LATERAL (SELECT g.user_id, to_jsonb(g) AS row FROM public.autonomous_consent g
    WHERE g.customer_id = o.customer_id AND g.operation_id = o.id AND g.template_hash IS NULL
    ORDER BY g.granted_at DESC LIMIT 1) c ON true
  LEFT JOIN LATERAL (SELECT jsonb_build_object('label', n.label, 'state', n.state, 'attempt', n.attempt) AS row
    FROM public.operation_intents n WHERE n.customer_id = o.customer_id AND n.operation_id = o.id
    ORDER BY n.started_at DESC LIMIT 1) i ON true
  LEFT JOIN LATERAL (SELECT a.header::jsonb ->> 'actor' AS actor, a.at FROM public.autonomous_operations_audit a
    WHERE a.customer_id = o.customer_id AND a.operation_id = o.id AND a.kind = 'credentials.entered'
    ORDER BY a.seq LIMIT 1) s ON true
  WHERE o.customer_id = customer AND o.id = ANY (wanted);
END $$;

-- The same as statements of their own, which enter the customer: one by its id; and the newest, from a place on.
CREATE FUNCTION app.read_operation(customer uuid, expires bigint, token bytea, wanted text)
RETURNS TABLE (operation jsonb, platform text, workspace_id text, request jsonb, events jsonb, consent jsonb, intent jsonb,
  sign_in jsonb, is_key_stored boolean, steps jsonb, pictures jsonb, retried_as text, people jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM sec.enter(customer, expires, token);
  PERFORM set_config('timezone', 'UTC', true);
  RETURN QUERY SELECT * FROM app.operation_parts(customer, ARRAY[wanted]);
END $$;
CREATE FUNCTION app.read_newest_operations(customer uuid, expires bigint, token bytea, from_at timestamptz, from_id text, most integer)
RETURNS TABLE (operation jsonb, platform text, workspace_id text, request jsonb, events jsonb, consent jsonb, intent jsonb,
  sign_in jsonb, is_key_stored boolean, steps jsonb, pictures jsonb, retried_as text, people jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM sec.enter(customer, expires, token);
  PERFORM set_config('timezone', 'UTC', true);
  RETURN QUERY SELECT * FROM app.operation_parts(customer, ARRAY(
    SELECT o.id FROM public.autonomous_operations o
    WHERE o.customer_id = customer AND (o.created_at, o.id) < (from_at, from_id)
    ORDER BY o.created_at DESC, o.id DESC LIMIT most));
END $$;
REVOKE ALL ON FUNCTION app.operation_parts(uuid, text[]), app.read_operation(uuid, bigint, bytea, text),
  app.read_newest_operations(uuid, bigint, bytea, timestamptz, text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.operation_parts(uuid, text[]), app.read_operation(uuid, bigint, bytea, text),
  app.read_newest_operations(uuid, bigint, bytea, timestamptz, text, integer) TO countersign_program;
