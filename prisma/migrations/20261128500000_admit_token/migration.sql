-- Whose request this is, its use noted and one taken from the token's bucket, in one statement: every request of the API begins
-- with it. No row: unknown, expired, revoked, or an erased customer's. `remaining` may be short of one where none was taken.
CREATE FUNCTION app.admit_token(customer uuid, expires bigint, token bytea, hash bytea, bucket text, quota double precision,
  window_seconds double precision)
RETURNS TABLE (id uuid, scopes text[], member_id uuid, is_allowed boolean, remaining double precision)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  called text;
BEGIN
  PERFORM sec.enter(customer, expires, token);
  -- A crash may forget the last few uses: nothing is built on them, and no request waits for a disk.
  PERFORM set_config('synchronous_commit', 'off', true);
  UPDATE public.api_tokens t SET last_used_at = app.now()
    WHERE t.customer_id = customer AND t.token_hash = hash AND t.revoked_at IS NULL AND t.expires_at > app.now()
      AND EXISTS (SELECT FROM public.customers c WHERE c.customer_id = customer AND c.erased_at IS NULL)
    RETURNING t.id, t.scopes, t.member_id INTO id, scopes, member_id;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  called := format('api token %s %s', id, bucket);
  -- As core/limits.ts takes from a bucket.
  INSERT INTO public.limits AS l (customer_id, name, remaining, at) VALUES (customer, called, quota - 1, app.now())
    ON CONFLICT (customer_id, name) DO UPDATE
      SET remaining = least(quota, l.remaining + quota / window_seconds * extract(epoch FROM greatest(app.now(), l.at) - l.at)::float8) - 1,
        at = greatest(app.now(), l.at)
      WHERE least(quota, l.remaining + quota / window_seconds * extract(epoch FROM greatest(app.now(), l.at) - l.at)::float8) >= 1
    RETURNING l.remaining INTO remaining;
  is_allowed := FOUND;
  IF NOT is_allowed THEN
    SELECT least(quota, l.remaining + quota / window_seconds * extract(epoch FROM greatest(app.now(), l.at) - l.at)::float8)
      INTO remaining FROM public.limits l WHERE l.customer_id = customer AND l.name = called;
  END IF;
  RETURN NEXT;
END $$;
REVOKE ALL ON FUNCTION app.admit_token(uuid, bigint, bytea, bytea, text, double precision, double precision) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.admit_token(uuid, bigint, bytea, bytea, text, double precision, double precision) TO countersign_program;
