-- How long a customer's records are kept, chosen by an admin of theirs; and an inbox that forgets what was answered.

-- AlterTable
ALTER TABLE "customers" ADD COLUMN     "retention_days" INTEGER;

ALTER TABLE customers ADD CONSTRAINT customers_retention_days_check CHECK (retention_days BETWEEN 1 AND 36500);
ALTER TABLE customers ALTER COLUMN retention_days SET STATISTICS 0;

-- How many days entries are kept when so many were asked for: never fewer than the owner allows, nor than the customer chose.
CREATE OR REPLACE FUNCTION app.audit_days(asked int) RETURNS int LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT greatest(asked, r.audit_days, (SELECT c.retention_days FROM public.customers c WHERE c.customer_id = sec.customer()))
  FROM sec.retention r
$$;

-- A smuggled statement shortens nothing: how long records are kept is the program's word, as who may approve is.
CREATE OR REPLACE FUNCTION app.keep_rules() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT row_security_active(TG_RELID) THEN RETURN NEW; END IF;
  IF NEW.may_work_alone <> OLD.may_work_alone THEN
    PERFORM sec.take_word(format('rules|%s|alone|%s', NEW.customer_id, NEW.may_work_alone::text));
  END IF;
  IF (NEW.approvals_required, NEW.admins_approve, NEW.approver_group)
      IS DISTINCT FROM (OLD.approvals_required, OLD.admins_approve, OLD.approver_group) THEN
    PERFORM sec.take_word(format('rules|%s|approvals|%s|%s|%s', NEW.customer_id, NEW.approvals_required, NEW.admins_approve::text,
      NEW.approver_group));
  END IF;
  IF NEW.retention_days IS DISTINCT FROM OLD.retention_days THEN
    PERFORM sec.take_word(format('rules|%s|retention|%s', NEW.customer_id, NEW.retention_days));
  END IF;
  RETURN NEW;
END $$;

-- Forgets that an event was answered, once its platform sends it no more: a row without words, which no trail rests upon.
-- What it asked for has a row of its own, under another id, which stays as long as the trail. Two hours: Slack repeats an
-- event three times, the last time some five minutes later (docs.slack.dev, Events API, retries), and what it answers nothing to
-- is tried for an hour here.
CREATE FUNCTION app.forget_answered() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  forgotten bigint;
BEGIN
  DELETE FROM public.chat_events e WHERE e.customer_id = sec.customer() AND e.sealed IS NULL
    AND starts_with(e.event_id, 'inbox/') AND e.created_at < app.now() - interval '2 hours';
  GET DIAGNOSTICS forgotten = ROW_COUNT;
  RETURN forgotten;
END $$;
GRANT SELECT (event_id, sealed) ON chat_events TO countersign_retention;
GRANT CREATE ON SCHEMA app TO countersign_retention;
ALTER FUNCTION app.forget_answered() OWNER TO countersign_retention;
REVOKE CREATE ON SCHEMA app FROM countersign_retention;
REVOKE EXECUTE ON FUNCTION app.forget_answered() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.forget_answered() TO countersign_program;
