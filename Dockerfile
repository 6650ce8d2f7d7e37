# The image of Walrus: one for nodes, operator and command line. For several architectures:
#   docker buildx build --platform linux/amd64,linux/arm64 --tag walrus:0.1.0 .
# Its files are chosen in one place, scripts/image/files.ts, which `npm run image` also makes an archive from without an
# engine: Node and the libraries it is linked to, packages for production, and compiled JavaScript. It has no shell. It
# writes nowhere but to /data, so that its root file system may be read-only.
FROM node:24-bookworm-slim AS build
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
COPY scripts/run.mjs scripts/
RUN node scripts/run.mjs node --version
COPY . .
RUN npm run --silent image -- --rootfs /rootfs

FROM scratch
COPY --from=build /rootfs/ /
LABEL org.opencontainers.image.title="walrus" \
      org.opencontainers.image.description="A distributed message streaming platform for Kubernetes" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/usr/bin \
    NODE_ENV=production \
    WALRUS_DATA_DIR=/data
WORKDIR /
EXPOSE 6001 9091 9191
USER 10001:10001
ENTRYPOINT ["/usr/bin/walrus"]
