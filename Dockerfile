# The image of Walrus: one for nodes, operator and command line. For several architectures, compiled on that of the builder:
#   docker buildx build --platform linux/amd64,linux/arm64 --tag REGISTRY/walrus:0.1.0 --push .
# Its files are chosen in one place, scripts/image/files.ts, which `npm run image` also makes an archive from without an
# engine: Node and the libraries it is linked to, packages for production, and compiled JavaScript. It has no shell. It
# writes nowhere but to /data, so that its root file system may be read-only.
ARG NODE_IMAGE=node:24.9.0-bookworm-slim

# Of the architecture that is built for: its Node and libraries are taken, and nothing of it is run.
FROM ${NODE_IMAGE} AS base

FROM --platform=${BUILDPLATFORM} ${NODE_IMAGE} AS build
ARG TARGETARCH
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts --libc=glibc --cpu=$(echo ${TARGETARCH} | sed s/amd64/x64/)
COPY . .
RUN --mount=type=bind,from=base,target=/base node scripts/image/main.ts --base /base --rootfs /rootfs

FROM scratch
COPY --from=build /rootfs/runtime/ /
COPY --from=build /rootfs/packages/ /
COPY --from=build /rootfs/program/ /
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
