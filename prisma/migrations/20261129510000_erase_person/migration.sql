-- The erasure of a person goes by whole ids, takes their own chats along, and keeps whoever took part in what is held.

-- Whether an id stands in there by itself, and not as a part of a longer one.
CREATE FUNCTION app.names(words text, id text) RETURNS boolean LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(words ~ ('(^|[^[:alnum:]_-])' || regexp_replace(id, '([^[:alnum:]])', '\\\1', 'g') || '($|[^[:alnum:]_-])'), false)
$$;

-- Whether a legal hold of an operation keeps this member: they asked for it, decided, answered or did anything in it.
CREATE FUNCTION app.holds_member(customer uuid, member uuid) RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT EXISTS (SELECT FROM app.held_operations(customer) AS held (id) WHERE
    EXISTS (SELECT FROM public.autonomous_operations o WHERE o.customer_id = customer AND o.id = held.id AND member IN (o.user_id, o.held_by))
    OR EXISTS (SELECT FROM public.autonomous_operations_audit a
      WHERE a.customer_id = customer AND a.operation_id = held.id AND a.header::jsonb ->> 'actor' = member::text)
    OR EXISTS (SELECT FROM public.consent_requests q
      WHERE q.customer_id = customer AND q.operation_id = held.id AND member IN (q.asked_by, q.decided_by))
    OR EXISTS (SELECT FROM public.consent_events e WHERE e.customer_id = customer AND e.operation_id = held.id AND e.member_id = member)
    OR EXISTS (SELECT FROM public.autonomous_consent g
      WHERE g.customer_id = customer AND g.operation_id = held.id AND member IN (g.user_id, g.revoked_by))
    OR EXISTS (SELECT FROM public.questions q WHERE q.customer_id = customer AND q.operation_id = held.id AND q.answered_by = member)
    OR EXISTS (SELECT FROM public.connect_links l WHERE l.customer_id = customer AND l.operation_id = held.id AND l.member_id = member))
$$;
REVOKE ALL ON FUNCTION app.names(text, text), app.holds_member(uuid, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.names(text, text) TO countersign_retention;
GRANT EXECUTE ON FUNCTION app.holds_member(uuid, uuid) TO countersign_program, countersign_retention;

-- A person: what they are called, whence they come, what they wrote and what lets them in. What was decided stays, by an id that
-- leads to nobody. Their words in the trail are taken before, by app.erase_payloads.
CREATE OR REPLACE FUNCTION app.erase_person(header text, OUT seq bigint, OUT hash bytea, OUT gone bigint) LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  customer uuid := sec.customer();
  fields jsonb := header::jsonb;
  person uuid := (fields ->> 'erasedMember')::uuid;
  whose text;
  account text;
  ids text[];
  chats uuid[];
  own record;
  part bigint;
BEGIN
  SELECT a.seq, a.hash INTO seq, hash FROM app.append_audit(header, NULL) a;
  PERFORM app.refuse_held(customer);
  SELECT m.user_id, m.platform INTO account, whose FROM public.members m WHERE m.customer_id = customer AND m.id = person;
  IF fields ->> 'kind' IS DISTINCT FROM 'member.erased' OR account IS NULL THEN
    RAISE EXCEPTION 'the erasure of a person says whose it is' USING ERRCODE = 'check_violation';
  END IF;
  IF app.holds_member(customer, person) THEN
    RAISE EXCEPTION 'a legal hold keeps an operation of theirs as it is' USING ERRCODE = 'check_violation', CONSTRAINT = 'legal_hold';
  END IF;
  gone := 0;
  -- Chats that are between them and the bot alone: of Teams, how each is reached says with whom.
  chats := ARRAY(SELECT t.id FROM public.threads t WHERE t.customer_id = customer AND t.platform = whose
    AND (t.ref = 'dm-' || account OR (starts_with(t.ref, 'personal:') AND EXISTS (SELECT FROM public.thread_messages m
      WHERE m.customer_id = customer AND m.thread_id = t.id AND m.slot = 'reference'
        AND position('"userId":' || to_json(account)::text IN m.ref) > 0))));
  ids := ARRAY[account, person::text]
    || ARRAY(SELECT substr(t.ref, length('personal:') + 1) FROM public.threads t
      WHERE t.customer_id = customer AND t.id = ANY (chats) AND starts_with(t.ref, 'personal:'));
  DELETE FROM public.api_answers n USING public.api_tokens t
    WHERE n.customer_id = customer AND t.customer_id = customer AND t.id = n.token_id AND t.member_id = person;
  GET DIAGNOSTICS part = ROW_COUNT;
  gone := gone + part;
  DELETE FROM public.api_tokens t WHERE t.customer_id = customer AND t.member_id = person;
  GET DIAGNOSTICS part = ROW_COUNT;
  gone := gone + part;
  DELETE FROM public.connect_links l WHERE l.customer_id = customer AND l.member_id = person;
  GET DIAGNOSTICS part = ROW_COUNT;
  gone := gone + part;
  DELETE FROM public.console_sessions s WHERE s.customer_id = customer AND s.member_id = person;
  GET DIAGNOSTICS part = ROW_COUNT;
  gone := gone + part;
  DELETE FROM public.screenshots s USING public.autonomous_operations o
    WHERE s.customer_id = customer AND o.customer_id = customer AND o.id = s.operation_id AND o.user_id = person;
  GET DIAGNOSTICS part = ROW_COUNT;
  gone := gone + part;
  -- Rows that stand under the person's own id, such as what they chose for themselves: it is part of what makes them the only ones.
  FOR own IN
    SELECT DISTINCT c.relname::text AS name, a.attname::text AS col FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (k.conkey) AND a.attname <> 'customer_id'
      JOIN pg_index i ON i.indrelid = c.oid AND i.indisunique AND a.attnum = ANY (i.indkey::int2[])
    WHERE k.contype = 'f' AND k.confrelid = 'public.members'::regclass
  LOOP
    EXECUTE format('DELETE FROM public.%I WHERE customer_id = $1 AND %I = $2', own.name, own.col) USING customer, person;
    GET DIAGNOSTICS part = ROW_COUNT;
    gone := gone + part;
  END LOOP;
  DELETE FROM public.chat_events e WHERE e.customer_id = customer AND EXISTS (SELECT FROM unnest(ids) i (id) WHERE app.names(e.event_id, i.id));
  DELETE FROM public.limits l WHERE l.customer_id = customer AND EXISTS (SELECT FROM unnest(ids) i (id) WHERE app.names(l.name, i.id));
  UPDATE public.threads t SET awaiting = NULL WHERE t.customer_id = customer
    AND (app.names(t.awaiting::text, account) OR app.names(t.awaiting::text, person::text));
  -- Their own chats, and threads where nobody else asked for anything: nothing is told there any more.
  UPDATE public.threads t SET ref = 'erased ' || t.id, awaiting = NULL, cursor = 9223372036854775807 WHERE t.customer_id = customer
    AND (t.id = ANY (chats)
      OR EXISTS (SELECT FROM public.autonomous_operations o WHERE o.customer_id = customer AND o.thread_id = t.id AND o.user_id = person))
    AND NOT EXISTS (SELECT FROM public.autonomous_operations o WHERE o.customer_id = customer AND o.thread_id = t.id AND o.user_id <> person);
  DELETE FROM public.thread_messages m USING public.threads t
    WHERE m.customer_id = customer AND t.customer_id = customer AND t.id = m.thread_id
      AND (starts_with(t.ref, 'erased ') OR EXISTS (SELECT FROM unnest(ids) i (id) WHERE app.names(m.ref, i.id) OR app.names(m.slot, i.id)));
  GET DIAGNOSTICS part = ROW_COUNT;
  gone := gone + part;
  UPDATE public.autonomous_consent g SET ip_address = NULL, user_agent = NULL WHERE g.customer_id = customer AND g.user_id = person;
  UPDATE public.operation_steps s SET note = NULL FROM public.autonomous_operations o
    WHERE s.customer_id = customer AND o.customer_id = customer AND o.id = s.operation_id AND o.user_id = person AND s.note IS NOT NULL;
  UPDATE public.autonomous_operations o SET error_message = NULL WHERE o.customer_id = customer AND o.user_id = person AND o.error_message IS NOT NULL;
  UPDATE public.members m SET name = 'erased', user_id = 'erased ' || person WHERE m.customer_id = customer AND m.id = person;
END $$;
