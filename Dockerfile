# One image for every role; ROLE says which. How to run it: docs/scale.md and compose.yaml.
# The Node of package.json; Debian, because its Chromium is the one that is tested.
FROM node:24.21.0-bookworm-slim AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc prisma.config.ts ./
COPY prisma prisma
# Neither a Node (the image has it) nor a PostgreSQL of its own, which are the optional packages; no package's own script; and
# Prisma's command line only until it has made the client.
RUN npm ci --omit=dev --omit=optional --ignore-scripts \
  && node prisma/generate.mjs \
  && npm pkg delete dependencies.prisma scripts.postinstall \
  && npm prune --omit=dev --omit=optional --ignore-scripts

FROM node:24.21.0-bookworm-slim
# chromium-sandbox is not among them: its program is set-uid root, which no-new-privileges forbids anyway (docs/scale.md).
RUN apt-get update \
  && apt-get install --yes --no-install-recommends \
    ca-certificates chromium fonts-dejavu-core fonts-liberation fonts-noto-color-emoji fonts-wqy-zenhei tini \
  && rm -rf /var/lib/apt/lists/* \
  && install --directory --owner=node --group=node --mode=0700 /var/lib/countersign/checkpoints
WORKDIR /app
COPY --from=packages /app/node_modules node_modules
COPY package.json LICENSE ./
COPY adapters adapters
COPY bot bot
COPY core core
COPY prisma prisma
COPY --from=packages /app/prisma/generated prisma/generated
# Nothing else is written to: browser profiles and whatever programs keep at home go to /tmp, checkpoints to their volume.
ENV NODE_ENV=production \
  HOME=/tmp \
  PORT=3000 \
  CHECKPOINT_DIR=/var/lib/countersign/checkpoints
VOLUME ["/tmp", "/var/lib/countersign/checkpoints"]
EXPOSE 3000
USER node
# A start waits for the database for up to a minute.
HEALTHCHECK --interval=10s --timeout=5s --start-period=90s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/healthz`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# tini takes the orphans of browsers, and hands signals on.
ENTRYPOINT ["/usr/bin/tini", "--"]
CMD ["node", "bot/main.ts"]
