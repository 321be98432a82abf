import type { PrismaConfig } from 'prisma';

/** For Prisma's command line alone (`generate`, and `migrate` while authoring); the program itself never reads it. */
export default {
  schema: 'prisma/schema.prisma',
  migrations: { path: 'prisma/migrations' },
  // `generate` connects to nothing, but the file is read for it too: an empty address is refused only when one is needed.
  datasource: { url: process.env.DATABASE_OWNER_URL ?? '' },
} satisfies PrismaConfig;
