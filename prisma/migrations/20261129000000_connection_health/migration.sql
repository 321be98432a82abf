-- How each stored key of a customer fares at its service: what the last looks at it found, when the next one is due, and what
-- people were told of it.

-- CreateTable
CREATE TABLE "connection_health" (
    "customer_id" UUID NOT NULL,
    "service" VARCHAR(50) NOT NULL,
    "target" TEXT NOT NULL,
    "credential_type" VARCHAR(50) NOT NULL,
    "state" VARCHAR(20) NOT NULL,
    "reason" TEXT NOT NULL,
    "since" TIMESTAMPTZ(3) NOT NULL,
    "checked_at" TIMESTAMPTZ(3),
    "next_check_at" TIMESTAMPTZ(3),
    "failures" INTEGER NOT NULL DEFAULT 0,
    "refused_since" TIMESTAMPTZ(3),
    "claim" UUID,
    "claimed_until" TIMESTAMPTZ(3),
    "told_state" VARCHAR(20) NOT NULL,
    "told_at" TIMESTAMPTZ(3),
    "told_count" INTEGER NOT NULL DEFAULT 0,
    "told_of" TEXT,
    "warned_days" INTEGER,
    "warned_for" TIMESTAMPTZ(3),

    CONSTRAINT "connection_health_pkey" PRIMARY KEY ("customer_id","service","target","credential_type")
);

-- AddForeignKey
ALTER TABLE "connection_health" ADD CONSTRAINT "connection_health_customer_id_fkey" FOREIGN KEY ("customer_id") REFERENCES "customers"("customer_id") ON DELETE RESTRICT ON UPDATE CASCADE;

ALTER TABLE connection_health
  ADD CONSTRAINT connection_health_state_check CHECK (state IN ('healthy', 'degraded', 'broken', 'expired', 'unknown')),
  ADD CONSTRAINT connection_health_told_check CHECK (told_state IN ('healthy', 'degraded', 'broken', 'expired', 'unknown')),
  ADD CONSTRAINT connection_health_counts_check CHECK (failures >= 0 AND told_count >= 0),
  ADD CONSTRAINT connection_health_claim_check CHECK (num_nulls(claim, claimed_until) IN (0, 2));

-- What is due, over all customers.
CREATE INDEX connection_health_due_idx ON connection_health (next_check_at) WHERE next_check_at IS NOT NULL;

DO $$
DECLARE
  c record;
BEGIN
  ALTER TABLE connection_health ENABLE ROW LEVEL SECURITY;
  ALTER TABLE connection_health FORCE ROW LEVEL SECURITY;
  CREATE POLICY own_rows ON connection_health USING (customer_id = (SELECT sec.customer())) WITH CHECK (customer_id = (SELECT sec.customer()));
  -- No samples for the planner: estimates would tell of other customers.
  FOR c IN SELECT a.attname AS name FROM pg_attribute a WHERE a.attrelid = 'connection_health'::regclass AND a.attnum > 0 LOOP
    EXECUTE format('ALTER TABLE connection_health ALTER COLUMN %I SET STATISTICS 0', c.name);
  END LOOP;
END $$;
GRANT SELECT, INSERT, UPDATE (state, reason, since, checked_at, next_check_at, failures, refused_since, claim, claimed_until,
  told_state, told_at, told_count, told_of, warned_days, warned_for) ON connection_health TO countersign_program;

-- Every key that stays is looked at, whoever stores it. The first look comes half an hour to an hour and a half later, spread by
-- the place, since a key was proven a moment before it is kept; one whose connection was in trouble is looked at with the next pass.
-- The short-lived tokens that lie beside a key are none. A row outlives its key, and waits for the next one in its place.
CREATE FUNCTION app.follow_credential() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  c public.autonomous_credentials;
  spread double precision;
BEGIN
  IF TG_OP = 'DELETE' THEN c := OLD; ELSE c := NEW; END IF;
  IF c.operation_id IS NOT NULL OR c.credential_type = 'oauth_token' THEN RETURN NULL; END IF;
  IF TG_OP = 'DELETE' THEN
    UPDATE public.connection_health h SET next_check_at = NULL, claim = NULL, claimed_until = NULL
    WHERE h.customer_id = c.customer_id AND h.service = c.service AND h.target = c.target AND h.credential_type = c.credential_type;
    RETURN NULL;
  END IF;
  spread := (hashtextextended(concat_ws('|', c.customer_id, c.service, c.target, c.credential_type), 0) & 1023) / 1024.0;
  INSERT INTO public.connection_health AS h
      (customer_id, service, target, credential_type, state, reason, since, next_check_at, told_state)
    VALUES (c.customer_id, c.service, c.target, c.credential_type, 'unknown', 'It was not looked at yet since it was stored.', app.now(),
      app.now() + make_interval(mins => 30, secs => 3600 * spread), 'healthy')
    ON CONFLICT (customer_id, service, target, credential_type) DO UPDATE SET
      next_check_at = CASE WHEN h.next_check_at IS NULL THEN EXCLUDED.next_check_at
        WHEN h.state IN ('healthy', 'unknown') THEN least(h.next_check_at, EXCLUDED.next_check_at) ELSE app.now() END,
      claim = NULL, claimed_until = NULL, failures = 0, refused_since = NULL,
      -- What lay here before was deleted: its troubles are over.
      state = CASE WHEN h.next_check_at IS NULL THEN EXCLUDED.state ELSE h.state END,
      reason = CASE WHEN h.next_check_at IS NULL THEN EXCLUDED.reason ELSE h.reason END,
      since = CASE WHEN h.next_check_at IS NULL THEN EXCLUDED.since ELSE h.since END,
      told_state = CASE WHEN h.next_check_at IS NULL THEN EXCLUDED.told_state ELSE h.told_state END,
      told_of = CASE WHEN h.next_check_at IS NULL THEN NULL ELSE h.told_of END;
  RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION app.follow_credential() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.follow_credential() TO countersign_program;
CREATE TRIGGER follow_credential AFTER INSERT OR DELETE OR UPDATE OF secret_version, expires_at ON autonomous_credentials
  FOR EACH ROW EXECUTE FUNCTION app.follow_credential();

-- Keys that were stored before this: the first look at each within the next six hours.
ALTER TABLE autonomous_credentials NO FORCE ROW LEVEL SECURITY;
ALTER TABLE connection_health NO FORCE ROW LEVEL SECURITY;
INSERT INTO connection_health (customer_id, service, target, credential_type, state, reason, since, next_check_at, told_state)
  SELECT c.customer_id, c.service, c.target, c.credential_type, 'unknown', 'It was not looked at yet since it was stored.', app.now(),
    app.now() + make_interval(secs => 21600 * (hashtextextended(concat_ws('|', c.customer_id, c.service, c.target, c.credential_type), 0) & 1023) / 1024.0),
    'healthy'
  FROM autonomous_credentials c WHERE c.operation_id IS NULL AND c.credential_type <> 'oauth_token';
ALTER TABLE autonomous_credentials FORCE ROW LEVEL SECURITY;
ALTER TABLE connection_health FORCE ROW LEVEL SECURITY;

-- Customers with a look that is due, and no other process at it.
CREATE POLICY directory ON connection_health FOR SELECT TO CURRENT_USER USING (true);
CREATE FUNCTION directory.customers_to_check() RETURNS SETOF uuid LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
  SELECT DISTINCT h.customer_id FROM public.connection_health h JOIN public.customers c USING (customer_id)
  WHERE h.next_check_at <= app.now() AND (h.claimed_until IS NULL OR h.claimed_until <= app.now()) AND c.erased_at IS NULL
$$;
REVOKE ALL ON FUNCTION directory.customers_to_check() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION directory.customers_to_check() TO countersign_program;

-- How many keys stand how, for whoever watches over the installation: numbers over all customers, of nobody in particular.
CREATE FUNCTION app.connections_by_state() RETURNS TABLE (service text, state text, connections integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT h.service::text, h.state::text, count(*)::integer FROM public.connection_health h
  WHERE h.next_check_at IS NOT NULL GROUP BY h.service, h.state
$$;
REVOKE ALL ON FUNCTION app.connections_by_state() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.connections_by_state() TO countersign_program;
