-- Tokens of the HTTP API by which somebody acts, and answers that whoever asks again is given again.

-- AlterTable
ALTER TABLE "api_tokens" ADD COLUMN     "member_id" UUID;

-- CreateTable
CREATE TABLE "api_answers" (
    "customer_id" UUID NOT NULL,
    "token_id" UUID NOT NULL,
    "key_hash" BYTEA NOT NULL,
    "request_hash" BYTEA NOT NULL,
    "taken_at" TIMESTAMPTZ(3),
    "status" INTEGER,
    "sealed" BYTEA,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT app.now(),

    CONSTRAINT "api_answers_pkey" PRIMARY KEY ("customer_id","token_id","key_hash")
);

-- AddForeignKey
ALTER TABLE "api_tokens" ADD CONSTRAINT "api_tokens_customer_id_member_id_fkey" FOREIGN KEY ("customer_id", "member_id") REFERENCES "members"("customer_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "api_answers" ADD CONSTRAINT "api_answers_customer_id_fkey" FOREIGN KEY ("customer_id") REFERENCES "customers"("customer_id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "api_answers" ADD CONSTRAINT "api_answers_customer_id_token_id_fkey" FOREIGN KEY ("customer_id", "token_id") REFERENCES "api_tokens"("customer_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- Rules that a row can't break ---------------------------------------------------------------------------------------

-- What is done with these is done by somebody.
ALTER TABLE api_tokens
  ADD CONSTRAINT api_tokens_member_check CHECK (
    member_id IS NOT NULL OR NOT scopes && ARRAY['operations:write', 'consent:decide', 'credentials:write']);
ALTER TABLE api_tokens ALTER COLUMN member_id SET STATISTICS 0;
ALTER TABLE api_answers
  ADD CONSTRAINT api_answers_hashes_check CHECK (octet_length(key_hash) = 32 AND octet_length(request_hash) = 32),
  ADD CONSTRAINT api_answers_answer_check CHECK ((status IS NULL) = (sealed IS NULL));

ALTER TABLE api_answers ENABLE ROW LEVEL SECURITY;
ALTER TABLE api_answers FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON api_answers USING (customer_id = (SELECT sec.customer())) WITH CHECK (customer_id = (SELECT sec.customer()));
-- No samples for the planner: estimates would tell of other customers.
DO $$
DECLARE
  c record;
BEGIN
  FOR c IN SELECT a.attname AS name FROM pg_attribute a WHERE a.attrelid = 'api_answers'::regclass AND a.attnum > 0 LOOP
    EXECUTE format('ALTER TABLE api_answers ALTER COLUMN %I SET STATISTICS 0', c.name);
  END LOOP;
END $$;
GRANT SELECT, INSERT, UPDATE (taken_at, status, sealed) ON api_answers TO countersign_program;

-- By whom a token acts is the program's word, as its scopes and its end are.
CREATE OR REPLACE FUNCTION app.keep_token() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF row_security_active(TG_RELID) THEN
    PERFORM sec.take_word(format('token|%s|%s|%s|%s|%s|%s', NEW.customer_id, NEW.id, encode(NEW.token_hash, 'hex'),
      (extract(epoch FROM NEW.expires_at) * 1000)::bigint, array_to_string(NEW.scopes, ','), NEW.member_id));
  END IF;
  RETURN NEW;
END $$;

-- Answers are kept for a day. What a request did has a row of its own among the events, which stays as long as the trail: a key
-- that comes back later does nothing twice.
GRANT SELECT (customer_id, created_at), DELETE ON api_answers TO countersign_retention;
CREATE OR REPLACE FUNCTION app.forget_answered() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  events bigint;
  answers bigint;
BEGIN
  DELETE FROM public.chat_events e WHERE e.customer_id = sec.customer() AND e.sealed IS NULL
    AND starts_with(e.event_id, 'inbox/') AND e.created_at < app.now() - interval '2 hours';
  GET DIAGNOSTICS events = ROW_COUNT;
  DELETE FROM public.api_answers a WHERE a.customer_id = sec.customer() AND a.created_at < app.now() - interval '24 hours';
  GET DIAGNOSTICS answers = ROW_COUNT;
  RETURN events + answers;
END $$;
