-- Whether a legal hold keeps all of a customer: a few entries among millions, and none for most. Asked by the console, by retention,
-- by an erasure, and by the triggers that guard what a hold keeps.
CREATE INDEX autonomous_operations_audit_customer_holds_idx ON autonomous_operations_audit (customer_id, seq)
  WHERE kind IN ('hold.placed', 'hold.released');
