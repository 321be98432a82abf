-- Repairs of connections run under a standing grant: their plan names it, and the database holds them to it.

-- The standing grant that a plan names; null for a plan that is no such repair.
CREATE FUNCTION app.grant_of_repair(plan text) RETURNS uuid LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  -- A plan is read only where it says that word: most do not.
  IF plan LIKE '%"repair":%' THEN RETURN (plan::jsonb -> 'repair' ->> 'consent')::uuid; END IF;
  RETURN NULL;
END $$;

-- No operation is in progress without a live countersignature: of exactly its plan, or, of a repair, the standing grant that its
-- plan names, for as long as the plan may run. What that grant permits is in it; `repair` is a permission of its own.
CREATE OR REPLACE FUNCTION app.require_live_consent() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  standing uuid;
BEGIN
  IF NEW.status <> 'in_progress' THEN RETURN NEW; END IF;
  standing := app.grant_of_repair(NEW.plan);
  IF standing IS NULL AND NOT EXISTS (
    SELECT FROM public.autonomous_consent c
    WHERE c.customer_id = NEW.customer_id AND c.operation_id = NEW.id AND c.plan_hash = NEW.plan_hash
      AND c.revoked_at IS NULL AND (c.expires_at IS NULL OR c.expires_at > app.now())
  ) OR standing IS NOT NULL AND NOT EXISTS (
    SELECT FROM public.autonomous_consent c
    WHERE c.customer_id = NEW.customer_id AND c.id = standing
      AND c.template_hash IS NOT NULL AND c.permissions ? 'repair' AND c.permissions @> (NEW.plan::jsonb -> 'permissions')
      AND c.service = NEW.service AND c.target = NEW.target AND NEW.plan::jsonb ->> 'operationId' = NEW.id
      AND (NEW.plan::jsonb ->> 'runsUntil')::timestamptz > app.now()
      AND c.revoked_at IS NULL AND c.expires_at > app.now()
  ) THEN
    RAISE EXCEPTION 'Consent required: operation % has no live consent for its plan', NEW.id
      USING ERRCODE = 'check_violation', CONSTRAINT = 'consent_required';
  END IF;
  RETURN NEW;
END $$;

-- A repair asks nobody, so which grant it runs under is the program's own word: whoever gets SQL into its connection begins
-- none. Row level security does not bind the owner, who could take this away as well.
CREATE FUNCTION app.keep_repair() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF row_security_active(TG_RELID) AND app.grant_of_repair(NEW.plan) IS NOT NULL
      AND (TG_OP = 'INSERT' OR NEW.plan IS DISTINCT FROM OLD.plan) THEN
    PERFORM sec.take_word(format('repair|%s|%s|%s', NEW.customer_id, NEW.id, NEW.plan_hash));
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER keep_repair BEFORE INSERT OR UPDATE OF plan ON autonomous_operations FOR EACH ROW EXECUTE FUNCTION app.keep_repair();
GRANT EXECUTE ON FUNCTION app.grant_of_repair(text), app.keep_repair() TO countersign_program;

-- The one-time page for a sign-in that a standing grant keeps.
ALTER TABLE connect_links DROP CONSTRAINT connect_links_purpose_check;
ALTER TABLE connect_links
  ADD CONSTRAINT connect_links_purpose_check CHECK (purpose IN ('credentials', 'answer', 'reveal', 'export', 'keep'));
