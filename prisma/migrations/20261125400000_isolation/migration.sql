-- The planner's estimates are made of samples of every customer's rows, and EXPLAIN tells them to whoever asks: how many
-- rows hold a value, and how many a customer has. So no samples are kept. Every query goes by a key or an index that
-- begins with the customer, and the planner finds these without.
DO $$
DECLARE
  c record;
BEGIN
  FOR c IN
    SELECT a.attrelid::regclass AS relation, a.attname AS name
    FROM pg_attribute a JOIN pg_class r ON r.oid = a.attrelid JOIN pg_namespace n ON n.oid = r.relnamespace
    WHERE n.nspname = 'public' AND r.relkind IN ('r', 'p') AND r.relname <> '_prisma_migrations'
      AND a.attnum > 0 AND NOT a.attisdropped
  LOOP
    EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS 0', c.relation, c.name);
  END LOOP;
END $$;
