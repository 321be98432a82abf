-- Every entry is the program's own word now, and not those alone that retention and erasure trust. Whoever got SQL into its
-- connection could add entries that nobody can take out again: false ones, and such as no reader understands, after which the
-- trail verifies no more, can't be exported, and nothing that follows is signed.

CREATE FUNCTION app.keep_entries() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  words text := NEW.header;
BEGIN
  -- Who reads a secret vouches before its id is known: app.open_credential put that in the place of the nil UUID.
  IF NEW.kind IN ('credential.opened', 'credential.revealed') THEN
    words := replace(words, words::jsonb ->> 'credentialId', '00000000-0000-0000-0000-000000000000');
  END IF;
  PERFORM sec.refuse_unvouched(format('audit|%s|%s', NEW.customer_id, words));
  PERFORM set_config('app.vouched', '', true); -- one word, one entry
  RETURN NEW;
END $$;
DROP TRIGGER keep_vouched ON autonomous_operations_audit;
CREATE TRIGGER keep_vouched BEFORE INSERT ON autonomous_operations_audit FOR EACH ROW EXECUTE FUNCTION app.keep_entries();
