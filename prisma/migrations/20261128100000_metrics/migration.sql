-- How many operations are open, by service and state, for whoever watches over the installation: counts and ages over all
-- customers, of nobody in particular.

CREATE INDEX autonomous_operations_open_idx ON autonomous_operations (service, status, updated_at) WHERE completed_at IS NULL;

-- The owner sees them while the function below counts, and at no other time. (Every other function that runs with the owner's
-- rights names the customer by itself.)
CREATE POLICY directory ON autonomous_operations FOR SELECT TO CURRENT_USER
  USING (current_setting('app.counts_operations', true) = 'yes');
CREATE FUNCTION app.open_operations() RETURNS TABLE (service text, state text, open integer, oldest_seconds double precision)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM set_config('app.counts_operations', 'yes', true);
  RETURN QUERY SELECT o.service::text, o.status::text, count(*)::integer,
      greatest(0, extract(epoch FROM app.now() - min(o.updated_at)))::double precision
    FROM public.autonomous_operations o WHERE o.completed_at IS NULL GROUP BY o.service, o.status;
  PERFORM set_config('app.counts_operations', '', true);
END $$;
REVOKE ALL ON FUNCTION app.open_operations() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.open_operations() TO countersign_program;
