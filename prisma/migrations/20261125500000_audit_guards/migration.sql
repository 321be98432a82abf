-- What retention and erasure trust is the program's own word, and not that of whoever gets SQL into its connection: such an
-- entry or checkpoint is taken only with HMAC(program key, its text) in the transaction's setting `app.vouched`.

-- Called by triggers inside the functions that run with the owner's rights, who alone reads the key.
CREATE FUNCTION sec.refuse_unvouched(words text) RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM sec.context_key k WHERE k.kind = 'program'
    AND encode(sec.hmac(k.inner_pad, k.outer_pad, words), 'hex') = current_setting('app.vouched', true)) THEN
    RAISE EXCEPTION 'the program does not vouch for this' USING ERRCODE = 'insufficient_privilege';
  END IF;
END $$;

CREATE FUNCTION app.keep_vouched() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF TG_TABLE_NAME = 'audit_checkpoints' THEN
    PERFORM sec.refuse_unvouched(format('checkpoint|%s|%s|%s|%s', NEW.customer_id, NEW.seq, encode(NEW.hash, 'hex'), NEW.note));
  ELSE
    PERFORM sec.refuse_unvouched(format('audit|%s|%s', NEW.customer_id, NEW.header));
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER keep_vouched BEFORE INSERT ON audit_checkpoints FOR EACH ROW EXECUTE FUNCTION app.keep_vouched();
CREATE TRIGGER keep_vouched BEFORE INSERT ON autonomous_operations_audit FOR EACH ROW
  WHEN (NEW.kind IN ('retention.dropped', 'erasure.completed', 'hold.placed', 'hold.released', 'customer.erased'))
  EXECUTE FUNCTION app.keep_vouched();
