-- Row level security asks whose rows a statement may see once for each table in it, so this is what the database does most of all. A function
-- in SQL is parsed and planned anew whenever it is called; one in PL/pgSQL once in a session. What these say stays the same.
CREATE OR REPLACE FUNCTION sec.hmac(inner_pad bytea, outer_pad bytea, message text) RETURNS bytea LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  RETURN pg_catalog.sha256(outer_pad || pg_catalog.sha256(inner_pad || pg_catalog.convert_to(message, 'UTF8')));
END $$;

CREATE OR REPLACE FUNCTION sec.bound(customer text) RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  k sec.context_key;
BEGIN
  SELECT c.* INTO k FROM sec.context_key c WHERE c.kind = 'database';
  RETURN customer || '|' || encode(sec.hmac(k.inner_pad, k.outer_pad,
    customer || '|' || pg_backend_pid() || '|' || extract(epoch FROM pg_catalog.now())), 'hex');
END $$;
