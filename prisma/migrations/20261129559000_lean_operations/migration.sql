-- A list of operations is hundreds of steps, so each goes without the names of its columns, in the order of core/operations/parts.ts. Else as
-- 20261129460000_whole_operations has it, whose functions stay for processes of the version before, which go on while they are replaced.
-- A database may have had these by a migration 20261129540000_lean_parts, which was written in two ways: so they are made or replaced here.
CREATE OR REPLACE FUNCTION app.lean_operation_parts(customer uuid, wanted text[])
RETURNS TABLE (operation json, platform text, workspace_id text, request json, events json, consent json, intent json,
  sign_in json, is_key_stored boolean, steps json, pictures json, retried_as text, people json,
  given json, twin text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT row_to_json(o), t.platform, t.workspace_id, r.row,
    coalesce((SELECT json_agg(json_build_object('kind', e.kind, 'memberId', e.member_id, 'at', e.at) ORDER BY e.n)
      FROM public.consent_events e
      WHERE e.customer_id = o.customer_id AND e.request_id = r.id AND e.kind IN ('approved', 'reminded')), '[]'),
    c.row, i.row,
    CASE WHEN s.actor IS NOT NULL THEN json_build_object('actor', s.actor, 'at', s.at) END,
    EXISTS (SELECT FROM public.autonomous_credentials k WHERE k.customer_id = o.customer_id AND k.operation_id IS NULL
      AND k.credential_metadata ->> 'operationId' = o.id),
    coalesce((SELECT json_agg(json_build_array(x.number, x.intent, x.state, x.attempt, x.rung, x.started_at, x.finished_at,
        x.duration_ms, x.screenshot_id, x.note) ORDER BY x.number) FROM public.operation_steps x
      WHERE x.customer_id = o.customer_id AND x.operation_id = o.id), '[]'),
    coalesce((SELECT json_agg(p.id) FROM public.screenshots p
      WHERE p.customer_id = o.customer_id AND p.operation_id = o.id), '[]'),
    CASE WHEN o.completed_at IS NOT NULL THEN
      (SELECT y.id FROM public.autonomous_operations y WHERE y.customer_id = o.customer_id AND y.retry_of = o.id) END,
    (SELECT json_agg(row_to_json(m)) FROM public.members m WHERE m.customer_id = o.customer_id AND m.id = ANY (
      ARRAY[o.user_id, o.held_by, r.decided_by, c.user_id, s.actor::uuid]
      || ARRAY(SELECT w.value::uuid FROM jsonb_each_text(r.widened) w)
      || ARRAY(SELECT e.member_id FROM public.consent_events e
        WHERE e.customer_id = o.customer_id AND e.request_id = r.id AND e.kind = 'approved'))),
    -- Of an open question, if anybody approved: those that count as things stand.
    CASE WHEN r.id IS NOT NULL AND r.decision IS NULL AND EXISTS (SELECT FROM public.consent_events e
        WHERE e.customer_id = o.customer_id AND e.request_id = r.id AND e.kind = 'approved') THEN
      coalesce((SELECT json_agg(json_build_object('memberId', a.member_id, 'at', a.at) ORDER BY a.at)
        FROM app.counted_approvals(o.customer_id, r.id) a), '[]') END,
    -- While it waits for approval: the oldest other one that is not over.
    CASE WHEN o.status = 'awaiting_consent' THEN
      (SELECT z.id FROM public.autonomous_operations z
        WHERE z.customer_id = o.customer_id AND z.completed_at IS NULL AND z.created_at < o.created_at AND z.id <> o.id
          AND z.service = o.service AND z.operation = o.operation AND z.target = o.target
        ORDER BY z.created_at LIMIT 1) END
  FROM unnest(wanted) AS one(id)
  JOIN LATERAL (SELECT p.* FROM public.autonomous_operations p WHERE p.customer_id = customer AND p.id = one.id OFFSET 0) o ON true
  JOIN LATERAL (SELECT h.platform, h.workspace_id FROM public.threads h WHERE h.customer_id = o.customer_id AND h.id = o.thread_id OFFSET 0) t ON true
  LEFT JOIN LATERAL (SELECT q.id, q.decision, q.decided_by, q.widened, row_to_json(q) AS row FROM public.consent_requests q
    WHERE q.customer_id = o.customer_id AND q.operation_id = o.id AND q.terms IS NULL
    ORDER BY q.asked_at DESC LIMIT 1) r ON true
  LEFT JOIN LATERAL (SELECT g.user_id, row_to_json(g) AS row FROM public.autonomous_consent g
    WHERE g.customer_id = o.customer_id AND g.operation_id = o.id AND g.template_hash IS NULL
    ORDER BY g.granted_at DESC LIMIT 1) c ON true
  LEFT JOIN LATERAL (SELECT json_build_object('label', n.label, 'state', n.state, 'attempt', n.attempt) AS row
    FROM public.operation_intents n WHERE n.customer_id = o.customer_id AND n.operation_id = o.id
    ORDER BY n.started_at DESC LIMIT 1) i ON true
  LEFT JOIN LATERAL (SELECT a.header::jsonb ->> 'actor' AS actor, a.at FROM public.autonomous_operations_audit a
    WHERE a.customer_id = o.customer_id AND a.operation_id = o.id AND a.kind = 'credentials.entered'
    ORDER BY a.seq LIMIT 1) s ON true;
END $$;

-- The same of one, as a statement of its own, which enters the customer.
CREATE OR REPLACE FUNCTION app.read_lean_operation(customer uuid, expires bigint, token bytea, wanted text)
RETURNS TABLE (operation json, platform text, workspace_id text, request json, events json, consent json, intent json,
  sign_in json, is_key_stored boolean, steps json, pictures json, retried_as text, people json,
  given json, twin text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM sec.enter(customer, expires, token);
  PERFORM set_config('timezone', 'UTC', true);
  RETURN QUERY SELECT * FROM app.lean_operation_parts(customer, ARRAY[wanted]);
END $$;
REVOKE ALL ON FUNCTION app.lean_operation_parts(uuid, text[]), app.read_lean_operation(uuid, bigint, bytea, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.lean_operation_parts(uuid, text[]), app.read_lean_operation(uuid, bigint, bytea, text)
  TO countersign_program;
