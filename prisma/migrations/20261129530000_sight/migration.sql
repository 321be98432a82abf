-- What says whether a worker may act on an operation: asked before each of its actions, so in one statement. The countersignature is the newest
-- of the operation's own or, where the plan says that it runs under a standing grant, that one; see core/operations/sight.ts.
-- Where it is asked for in a transaction, the customer was entered before.
CREATE FUNCTION app.sight(customer uuid, wanted text)
RETURNS TABLE (status text, fence bigint, is_held boolean, plan text, plan_hash text, updated_at timestamptz, consent json, now timestamptz)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT o.status::text, o.fence, o.hold IS NOT NULL OR c.paused_at IS NOT NULL OR s.since IS NOT NULL,
    o.plan, o.plan_hash, o.updated_at, CASE WHEN o.standing IS NULL THEN g.row ELSE r.row END, app.now()::timestamptz(3)
  FROM (SELECT p.*, CASE WHEN strpos(p.plan, '"repair":') > 0 THEN
        substring(p.plan::jsonb #>> '{repair,consent}' from '^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$')::uuid END AS standing
      FROM public.autonomous_operations p WHERE p.customer_id = customer AND p.id = wanted OFFSET 0) o
  JOIN public.customers c ON c.customer_id = o.customer_id
  CROSS JOIN app.standstill() s
  LEFT JOIN LATERAL (SELECT row_to_json(own) AS row FROM public.autonomous_consent own
    WHERE o.standing IS NULL AND own.customer_id = o.customer_id AND own.operation_id = o.id AND own.template_hash IS NULL
    ORDER BY own.granted_at DESC, own.expires_at DESC LIMIT 1) g ON true
  LEFT JOIN LATERAL (SELECT row_to_json(of) AS row FROM public.autonomous_consent of
    WHERE of.customer_id = o.customer_id AND of.id = o.standing) r ON true;
END $$;

-- The same as a statement of its own, which enters the customer.
CREATE FUNCTION app.look(customer uuid, expires bigint, token bytea, wanted text)
RETURNS TABLE (status text, fence bigint, is_held boolean, plan text, plan_hash text, updated_at timestamptz, consent json, now timestamptz)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM sec.enter(customer, expires, token);
  PERFORM set_config('timezone', 'UTC', true), set_config('datestyle', 'ISO, MDY', true);
  RETURN QUERY SELECT * FROM app.sight(customer, wanted);
END $$;
REVOKE ALL ON FUNCTION app.sight(uuid, text), app.look(uuid, bigint, bytea, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.sight(uuid, text), app.look(uuid, bigint, bytea, text) TO countersign_program;
