-- A link that was spent stays spent, whoever speaks SQL in the program's name.
CREATE FUNCTION app.keep_spent() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF OLD.spent_at IS NOT NULL AND NEW.spent_at IS DISTINCT FROM OLD.spent_at THEN
    RAISE EXCEPTION 'a link is spent once' USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER keep_spent BEFORE UPDATE ON connect_links FOR EACH ROW EXECUTE FUNCTION app.keep_spent();
REVOKE ALL ON FUNCTION app.keep_spent() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.keep_spent() TO countersign_program;
