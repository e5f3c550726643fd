# Delos in a container. See docs/production.md.
#
#   docker build -t delos .
#   docker run --read-only -v delos:/data -p 61613:61613 -p 1883:1883 -p 5672:5672 -p 61680:61680 --stop-timeout 60 delos

FROM node:24-bookworm-slim AS build
WORKDIR /opt/delos
COPY package.json package-lock.json .npmrc ./
RUN npm install
COPY . .
RUN node console/build.ts && test -f dist/console/index.html
# What runs needs neither tests nor the tools that built the console, and no Node besides that of the image.
RUN npm prune --omit=dev && rm -rf test bench node_modules/node-linux-* node_modules/.bin/node

FROM node:24-bookworm-slim
ENV NODE_ENV=production \
    DELOS_CONTAINER=1 \
    DELOS__store__directory=/data
WORKDIR /opt/delos
COPY --from=build /opt/delos /opt/delos
RUN printf '#!/bin/sh\nexec node /opt/delos/src/main.ts "$@"\n' > /usr/local/bin/delos && chmod 755 /usr/local/bin/delos \
 && mkdir -m 0700 /data && chown node:node /data
USER node
VOLUME /data
EXPOSE 61613 1883 5672 61616 61680
STOPSIGNAL SIGTERM
# Lives, not ready: a broker with an alarm has to go on for its consumers.
HEALTHCHECK --interval=15s --timeout=5s --start-period=300s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:61680/livez').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "--max-semi-space-size=8", "--external-memory-accounted-in-global-limit", "src/main.ts"]
CMD ["serve"]
