-- What a list says of each of its operations, in the columns of core/operations/listed.ts: a tenth of what belongs to them.
-- app.read_newest_operations, which read the whole for that, stays for processes of the version before.
CREATE FUNCTION app.listed_operations(customer uuid, wanted text[])
RETURNS TABLE (id text, service text, operation text, plan text, status text, plan_hash text, current_step integer, done integer,
  requested_by json, approved_by json, consent_expires_at timestamptz, retry_of text, retried_as text, result jsonb,
  error_code text, error_message text, created_at timestamptz, started_at timestamptz, completed_at timestamptz)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT o.id, o.service::text, o.operation::text, o.plan, o.status::text, o.plan_hash, o.current_step,
    (SELECT count(*)::integer FROM public.operation_steps x
      WHERE x.customer_id = o.customer_id AND x.operation_id = o.id AND x.state = 'done'),
    (SELECT json_build_object('id', m.id, 'name', m.name) FROM public.members m WHERE m.customer_id = o.customer_id AND m.id = o.user_id),
    -- Of an open question, if anybody approved: those that count as things stand.
    coalesce(CASE WHEN r.decision IS NULL AND EXISTS (SELECT FROM public.consent_events e
        WHERE e.customer_id = o.customer_id AND e.request_id = r.id AND e.kind = 'approved') THEN
      (SELECT json_agg(json_build_object('id', m.id, 'name', m.name) ORDER BY a.at)
        FROM app.counted_approvals(o.customer_id, r.id) a
        JOIN public.members m ON m.customer_id = o.customer_id AND m.id = a.member_id)
    ELSE
      (SELECT json_agg(json_build_object('id', m.id, 'name', m.name) ORDER BY e.n)
        FROM public.consent_events e JOIN public.members m ON m.customer_id = o.customer_id AND m.id = e.member_id
        WHERE e.customer_id = o.customer_id AND e.request_id = r.id AND e.kind = 'approved')
    END, '[]'),
    CASE WHEN o.status = 'awaiting_consent' THEN r.expires_at ELSE
      (SELECT CASE WHEN g.revoked_at IS NULL THEN g.expires_at END FROM public.autonomous_consent g
        WHERE g.customer_id = o.customer_id AND g.operation_id = o.id AND g.template_hash IS NULL
        ORDER BY g.granted_at DESC LIMIT 1) END,
    o.retry_of,
    CASE WHEN o.completed_at IS NOT NULL THEN
      (SELECT y.id FROM public.autonomous_operations y WHERE y.customer_id = o.customer_id AND y.retry_of = o.id) END,
    o.result, o.error_code, o.error_message, o.created_at, o.started_at, o.completed_at
  FROM unnest(wanted) WITH ORDINALITY AS one(id, place)
  JOIN LATERAL (SELECT p.* FROM public.autonomous_operations p WHERE p.customer_id = customer AND p.id = one.id OFFSET 0) o ON true
  LEFT JOIN LATERAL (SELECT q.id, q.decision, q.expires_at FROM public.consent_requests q
    WHERE q.customer_id = o.customer_id AND q.operation_id = o.id AND q.terms IS NULL
    ORDER BY q.asked_at DESC LIMIT 1) r ON true
  ORDER BY one.place;
END $$;

-- The same of the newest, from a place on, newest first, as a statement of its own, which enters the customer.
CREATE FUNCTION app.read_newest_listed(customer uuid, expires bigint, token bytea, from_at timestamptz, from_id text, most integer)
RETURNS TABLE (id text, service text, operation text, plan text, status text, plan_hash text, current_step integer, done integer,
  requested_by json, approved_by json, consent_expires_at timestamptz, retry_of text, retried_as text, result jsonb,
  error_code text, error_message text, created_at timestamptz, started_at timestamptz, completed_at timestamptz)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM sec.enter(customer, expires, token);
  RETURN QUERY SELECT * FROM app.listed_operations(customer, ARRAY(
    SELECT o.id FROM public.autonomous_operations o
    WHERE o.customer_id = customer AND (o.created_at, o.id) < (from_at, from_id)
    ORDER BY o.created_at DESC, o.id DESC LIMIT most));
END $$;
REVOKE ALL ON FUNCTION app.listed_operations(uuid, text[]),
  app.read_newest_listed(uuid, bigint, bytea, timestamptz, text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.listed_operations(uuid, text[]),
  app.read_newest_listed(uuid, bigint, bytea, timestamptz, text, integer) TO countersign_program;
