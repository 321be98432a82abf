-- AlterTable
ALTER TABLE "autonomous_consent" ADD COLUMN     "extends" UUID,
ADD COLUMN     "keeps" TEXT[] DEFAULT ARRAY[]::TEXT[],
ADD COLUMN     "template_hash" TEXT;

-- AlterTable
ALTER TABLE "consent_requests" ADD COLUMN     "asked_by" UUID,
ADD COLUMN     "asked_for" JSONB NOT NULL DEFAULT '[]',
ADD COLUMN     "method" VARCHAR(30),
ADD COLUMN     "terms" TEXT,
ADD COLUMN     "widened" JSONB NOT NULL DEFAULT '{}';

-- AlterTable
ALTER TABLE "customers" ADD COLUMN     "admins_approve" BOOLEAN NOT NULL DEFAULT false,
ADD COLUMN     "approvals_required" INTEGER NOT NULL DEFAULT 1,
ADD COLUMN     "approver_group" TEXT;

-- AlterTable
ALTER TABLE "members" ADD COLUMN     "person_id" UUID;

-- CreateTable
CREATE TABLE "consent_events" (
    "customer_id" UUID NOT NULL,
    "request_id" UUID NOT NULL,
    "n" INTEGER NOT NULL,
    "operation_id" TEXT NOT NULL,
    "kind" VARCHAR(20) NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "member_id" UUID,
    "method" VARCHAR(30),
    "basis" TEXT,
    "plan_hash" TEXT NOT NULL,
    "permissions" JSONB,
    "expires_at" TIMESTAMPTZ(3),
    "reason" TEXT,

    CONSTRAINT "consent_events_pkey" PRIMARY KEY ("customer_id","request_id","n")
);

-- CreateIndex
CREATE INDEX "consent_events_customer_id_operation_id_idx" ON "consent_events"("customer_id", "operation_id");

-- AddForeignKey
ALTER TABLE "consent_events" ADD CONSTRAINT "consent_events_customer_id_request_id_fkey" FOREIGN KEY ("customer_id", "request_id") REFERENCES "consent_requests"("customer_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "consent_events" ADD CONSTRAINT "consent_events_customer_id_member_id_fkey" FOREIGN KEY ("customer_id", "member_id") REFERENCES "members"("customer_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;


-- Rules that a row can't break ---------------------------------------------------------------------------------------

ALTER TABLE customers
  ADD CONSTRAINT customers_approvals_required_check CHECK (approvals_required BETWEEN 1 AND 9),
  ADD CONSTRAINT customers_approver_group_check CHECK (approver_group <> '');
ALTER TABLE consent_requests
  ADD CONSTRAINT consent_requests_terms_check CHECK (terms IS NULL OR plan_hash = encode(sha256(convert_to(terms, 'UTF8')), 'hex')),
  ADD CONSTRAINT consent_requests_widened_check CHECK (jsonb_typeof(widened) = 'object' AND jsonb_typeof(asked_for) = 'array');
ALTER TABLE autonomous_consent
  ADD CONSTRAINT autonomous_consent_standing_check CHECK (template_hash IS NULL OR (expires_at IS NOT NULL AND permissions ? 'repair'));
ALTER TABLE consent_events
  ADD CONSTRAINT consent_events_kind_check CHECK (kind IN ('requested', 'reminded', 'approved', 'granted', 'refused', 'denied',
    'withdrawn', 'revoked', 'expired', 'superseded', 'extended')),
  ADD CONSTRAINT consent_events_approved_check CHECK (kind <> 'approved' OR (member_id IS NOT NULL AND method IS NOT NULL AND basis IS NOT NULL)),
  ADD CONSTRAINT consent_events_n_check CHECK (n > 0);

-- One open question an operation about its plan, and one about a standing grant.
DROP INDEX consent_requests_open_key;
CREATE UNIQUE INDEX consent_requests_open_key ON consent_requests (customer_id, operation_id, (terms IS NOT NULL)) WHERE decision IS NULL;
-- A question is remembered once.
CREATE UNIQUE INDEX consent_events_reminded_key ON consent_events (customer_id, request_id) WHERE kind = 'reminded';

ALTER TABLE consent_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE consent_events FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON consent_events USING (customer_id = (SELECT sec.customer())) WITH CHECK (customer_id = (SELECT sec.customer()));
GRANT SELECT, INSERT ON consent_events TO countersign_program;

-- An open question is decided and otherwise stays what was asked.
REVOKE UPDATE ON consent_requests FROM countersign_program;
GRANT UPDATE (decision, decided_at, decided_by, reason, method) ON consent_requests TO countersign_program;

-- What was asked and decided before there were events: said as they would have said it. Forced row level security hides
-- every row from the owner as well, so it is lifted for as long as this takes.
ALTER TABLE consent_events NO FORCE ROW LEVEL SECURITY;
ALTER TABLE consent_requests NO FORCE ROW LEVEL SECURITY;
ALTER TABLE autonomous_consent NO FORCE ROW LEVEL SECURITY;
ALTER TABLE autonomous_operations NO FORCE ROW LEVEL SECURITY;
INSERT INTO consent_events (customer_id, request_id, n, operation_id, kind, at, member_id, plan_hash, expires_at)
  SELECT customer_id, id, 1, operation_id, 'requested', asked_at, NULL, plan_hash, expires_at FROM consent_requests;
INSERT INTO consent_events (customer_id, request_id, n, operation_id, kind, at, member_id, method, basis, plan_hash, permissions, expires_at)
  SELECT c.customer_id, c.request_id, step.n, c.operation_id, step.kind, c.granted_at, c.user_id, c.collection_method,
    CASE step.kind WHEN 'approved' THEN 'approver' END, c.plan_hash, c.permissions, c.expires_at
  FROM autonomous_consent c, (VALUES (2, 'approved'), (3, 'granted')) step (n, kind);
INSERT INTO consent_events (customer_id, request_id, n, operation_id, kind, at, member_id, plan_hash)
  SELECT customer_id, request_id, 4, operation_id, 'revoked', revoked_at, revoked_by, plan_hash
  FROM autonomous_consent WHERE revoked_at IS NOT NULL;
INSERT INTO consent_events (customer_id, request_id, n, operation_id, kind, at, member_id, plan_hash, reason)
  SELECT customer_id, id, 2, operation_id, CASE decision WHEN 'cancelled' THEN 'withdrawn' ELSE decision END,
    coalesce(decided_at, asked_at), decided_by, plan_hash, reason
  FROM consent_requests WHERE decision <> 'granted';
UPDATE consent_requests r SET asked_for = o.permissions
  FROM autonomous_operations o WHERE o.customer_id = r.customer_id AND o.id = r.operation_id AND r.decision IS NULL;
ALTER TABLE consent_events FORCE ROW LEVEL SECURITY;
ALTER TABLE consent_requests FORCE ROW LEVEL SECURITY;
ALTER TABLE autonomous_consent FORCE ROW LEVEL SECURITY;
ALTER TABLE autonomous_operations FORCE ROW LEVEL SECURITY;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON consent_events
  FOR EACH STATEMENT EXECUTE FUNCTION app.refuse_change();

-- The events ---------------------------------------------------------------------------------------------------------
-- A question and its countersignature keep their state in their own rows; every change of such a row writes its event
-- here, in the same statement. So the two can't say different things, also when somebody writes SQL by hand, and nobody
-- adds the event of a decision that wasn't made: by itself the program adds approvals, refusals and reminders only.

CREATE FUNCTION app.number_event() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  request public.consent_requests;
BEGIN
  -- The question's row is locked, so that its events are one after the other.
  SELECT * INTO request FROM public.consent_requests r WHERE r.customer_id = NEW.customer_id AND r.id = NEW.request_id FOR NO KEY UPDATE;
  IF request.id IS NULL OR request.operation_id <> NEW.operation_id OR request.plan_hash <> NEW.plan_hash THEN
    RAISE EXCEPTION 'a consent event belongs to its question' USING ERRCODE = 'insufficient_privilege';
  END IF;
  IF NEW.kind NOT IN ('approved', 'refused', 'reminded') AND pg_trigger_depth() < 2 THEN
    RAISE EXCEPTION 'a decision is recorded by making it' USING ERRCODE = 'insufficient_privilege';
  END IF;
  IF NEW.kind IN ('approved', 'reminded') AND (request.decision IS NOT NULL OR request.expires_at <= app.now()) THEN
    RAISE EXCEPTION 'the consent request is closed' USING ERRCODE = 'insufficient_privilege';
  END IF;
  NEW.at := app.now();
  SELECT coalesce(max(e.n), 0) + 1 INTO NEW.n FROM public.consent_events e
    WHERE e.customer_id = NEW.customer_id AND e.request_id = NEW.request_id;
  RETURN NEW;
END $$;
CREATE TRIGGER number_event BEFORE INSERT ON consent_events FOR EACH ROW EXECUTE FUNCTION app.number_event();

CREATE FUNCTION app.record_request() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO public.consent_events (customer_id, request_id, operation_id, kind, member_id, plan_hash, permissions, expires_at)
      SELECT NEW.customer_id, NEW.id, NEW.operation_id, 'requested', NEW.asked_by, NEW.plan_hash,
        coalesce(NEW.terms, o.plan)::jsonb -> 'permissions', NEW.expires_at
      FROM public.autonomous_operations o WHERE o.customer_id = NEW.customer_id AND o.id = NEW.operation_id;
  ELSIF NEW.decision IS DISTINCT FROM OLD.decision AND NEW.decision <> 'granted' THEN
    INSERT INTO public.consent_events (customer_id, request_id, operation_id, kind, member_id, method, plan_hash, reason)
      VALUES (NEW.customer_id, NEW.id, NEW.operation_id, CASE NEW.decision WHEN 'cancelled' THEN 'withdrawn' ELSE NEW.decision END,
        NEW.decided_by, NEW.method, NEW.plan_hash, NEW.reason);
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER record_request AFTER INSERT OR UPDATE OF decision ON consent_requests
  FOR EACH ROW EXECUTE FUNCTION app.record_request();

-- The approvals that count as things stand, one a person, whatever was true when each was given: the giver may still
-- approve, in the workspace that asked; is nobody who asked, nor who added to what was asked for, unless they work alone.
CREATE FUNCTION app.counted_approvals(customer uuid, request uuid) RETURNS TABLE (member_id uuid, person_id uuid, at timestamptz) LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
  SELECT DISTINCT ON (coalesce(m.person_id, m.id)) m.id, coalesce(m.person_id, m.id), e.at
  FROM public.consent_requests r
  JOIN public.customers c ON c.customer_id = r.customer_id
  JOIN public.autonomous_operations o ON o.customer_id = r.customer_id AND o.id = r.operation_id
  JOIN public.threads t ON t.customer_id = o.customer_id AND t.id = o.thread_id
  JOIN public.members asker ON asker.customer_id = r.customer_id AND asker.id = CASE WHEN r.terms IS NULL THEN o.user_id ELSE r.asked_by END
  JOIN public.consent_events e ON e.customer_id = r.customer_id AND e.request_id = r.id AND e.kind = 'approved'
  JOIN public.members m ON m.customer_id = e.customer_id AND m.id = e.member_id
  WHERE r.customer_id = $1 AND r.id = $2
    AND m.platform = t.platform AND m.workspace_id = t.workspace_id
    AND CASE e.basis WHEN 'approver' THEN 'approver' = ANY (m.roles)
      WHEN 'admin' THEN c.admins_approve AND 'admin' = ANY (m.roles)
      ELSE e.basis = 'group:' || c.approver_group END
    AND (c.may_work_alone OR coalesce(m.person_id, m.id) <> coalesce(asker.person_id, asker.id) AND NOT EXISTS (
      SELECT FROM jsonb_each_text(r.widened) added
      JOIN public.members widener ON widener.customer_id = r.customer_id AND widener.id = added.value::uuid
      WHERE coalesce(widener.person_id, widener.id) = coalesce(m.person_id, m.id)))
  ORDER BY coalesce(m.person_id, m.id), e.n
$$;

-- No countersignature without the approvals that its question needs, and none of anything but what the question showed.
CREATE FUNCTION app.require_approvals() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  request public.consent_requests;
  shown jsonb;
  fits boolean;
BEGIN
  SELECT * INTO request FROM public.consent_requests r WHERE r.customer_id = NEW.customer_id AND r.id = NEW.request_id;
  SELECT coalesce(request.terms, o.plan)::jsonb INTO shown FROM public.autonomous_operations o
    WHERE o.customer_id = NEW.customer_id AND o.id = NEW.operation_id AND (request.terms IS NOT NULL OR o.plan_hash = NEW.plan_hash);
  NEW.granted_at := app.now()::timestamptz(3);
  fits := request.operation_id = NEW.operation_id AND request.plan_hash = NEW.plan_hash AND NEW.revoked_at IS NULL
    AND NEW.permissions = shown -> 'permissions' AND NEW.expires_at > NEW.granted_at
    AND NEW.expires_at <= (coalesce(shown ->> 'until', shown ->> 'runsUntil'))::timestamptz
    AND NEW.template_hash IS NOT DISTINCT FROM (shown ->> 'templateHash')
    AND to_jsonb(NEW.keeps) = coalesce(shown -> 'keeps', '[]');
  IF NEW.extends IS NULL THEN
    fits := fits AND request.decision IS NULL AND request.expires_at > NEW.granted_at;
  ELSE
    fits := fits AND EXISTS (SELECT FROM public.autonomous_consent c
      WHERE c.customer_id = NEW.customer_id AND c.id = NEW.extends AND c.request_id = NEW.request_id
        AND c.revoked_at IS NULL AND c.expires_at > NEW.granted_at);
  END IF;
  IF fits IS NOT TRUE OR (SELECT count(*) FROM app.counted_approvals(NEW.customer_id, NEW.request_id))
      < (SELECT c.approvals_required FROM public.customers c WHERE c.customer_id = NEW.customer_id) THEN
    RAISE EXCEPTION 'Consent required: operation % lacks the approvals for this countersignature', NEW.operation_id
      USING ERRCODE = 'check_violation', CONSTRAINT = 'approvals_required';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER require_approvals BEFORE INSERT ON autonomous_consent
  FOR EACH ROW EXECUTE FUNCTION app.require_approvals();

-- A countersignature decides its question.
CREATE FUNCTION app.record_consent() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND (OLD.revoked_at IS NOT NULL OR NEW.revoked_at IS NULL) THEN RETURN NULL; END IF;
  INSERT INTO public.consent_events (customer_id, request_id, operation_id, kind, member_id, method, plan_hash, permissions, expires_at)
    VALUES (NEW.customer_id, NEW.request_id, NEW.operation_id,
      CASE WHEN TG_OP = 'UPDATE' THEN 'revoked' WHEN NEW.extends IS NULL THEN 'granted' ELSE 'extended' END,
      CASE WHEN TG_OP = 'UPDATE' THEN NEW.revoked_by ELSE NEW.user_id END,
      CASE WHEN TG_OP = 'INSERT' THEN NEW.collection_method END, NEW.plan_hash, NEW.permissions, NEW.expires_at);
  IF TG_OP = 'INSERT' AND NEW.extends IS NULL THEN
    UPDATE public.consent_requests SET decision = 'granted', decided_at = NEW.granted_at, decided_by = NEW.user_id, method = NEW.collection_method
      WHERE customer_id = NEW.customer_id AND id = NEW.request_id;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER record_consent AFTER INSERT OR UPDATE OF revoked_at ON autonomous_consent
  FOR EACH ROW EXECUTE FUNCTION app.record_consent();

CREATE OR REPLACE FUNCTION app.keep_decision() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF OLD.decision IS NOT NULL THEN
    RAISE EXCEPTION 'a decided consent request cannot be changed' USING ERRCODE = 'insufficient_privilege';
  END IF;
  IF NEW.decision = 'granted' AND NOT EXISTS (
    SELECT FROM public.autonomous_consent c WHERE c.customer_id = NEW.customer_id AND c.request_id = NEW.id
  ) THEN
    RAISE EXCEPTION 'a consent request is granted by its countersignature' USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN NEW;
END $$;

-- A standing grant is for repairs alone: it is no consent to the operation type itself.
CREATE OR REPLACE FUNCTION has_autonomous_consent(customer uuid, service text, operation text) RETURNS boolean LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
  SELECT EXISTS (
    SELECT FROM public.autonomous_consent c
    WHERE c.customer_id = $1 AND c.service = $2 AND c.operation = $3 AND c.template_hash IS NULL
      AND c.revoked_at IS NULL AND (c.expires_at IS NULL OR c.expires_at > app.now()))
$$;

GRANT EXECUTE ON FUNCTION app.number_event(), app.record_request(), app.counted_approvals(uuid, uuid), app.require_approvals(),
  app.record_consent() TO countersign_program;
