-- What an admin lets the bot do at all: only say how it is done by hand; at these sites alone; asked for in these channels
-- alone; so often an hour.

-- AlterTable
ALTER TABLE "customers" ADD COLUMN     "allowed_channels" TEXT[] DEFAULT ARRAY[]::TEXT[],
ADD COLUMN     "allowed_targets" TEXT[] DEFAULT ARRAY[]::TEXT[],
ADD COLUMN     "is_guide_only" BOOLEAN NOT NULL DEFAULT false,
ADD COLUMN     "operations_per_hour" INTEGER;

ALTER TABLE customers ADD CONSTRAINT customers_operations_per_hour_check CHECK (operations_per_hour BETWEEN 1 AND 1000);
ALTER TABLE customers ADD CONSTRAINT customers_allowed_check
  CHECK (allowed_targets IS NOT NULL AND allowed_channels IS NOT NULL AND cardinality(allowed_targets) <= 100 AND cardinality(allowed_channels) <= 100);
ALTER TABLE customers
  ALTER COLUMN is_guide_only SET STATISTICS 0, ALTER COLUMN allowed_targets SET STATISTICS 0,
  ALTER COLUMN allowed_channels SET STATISTICS 0, ALTER COLUMN operations_per_hour SET STATISTICS 0;
