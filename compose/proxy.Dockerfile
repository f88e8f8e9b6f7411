# The data plane: one image for sidecars, gateways and one-shot jobs in a container's namespace.
# BASE is node:24-bookworm-slim, its local stand-in, or any other with Node 22 and apt. Nothing here depends on the architecture:
# koffi/ holds a native part for each, and the build fails where the one that is needed is missing.
ARG BASE=node:24-bookworm-slim
FROM ${BASE}

# nftables: capture and guard. socat: the daemon's bridge from `docker exec` to the control socket.
COPY apt-install.sh /build/
COPY network/ /build/network/
RUN sh /build/apt-install.sh nftables socat

LABEL dev.devmesh.image="proxy" \
      org.opencontainers.image.title="devmesh proxy" \
      org.opencontainers.image.licenses="Apache-2.0"

ENV NODE_ENV=production UV_THREADPOOL_SIZE=2 MALLOC_ARENA_MAX=2
WORKDIR /devmesh
COPY koffi/ koffi/
COPY proxy.mjs ./
RUN node -e "require('/devmesh/koffi/linux-' + process.arch + '/koffi.node')"

# V8's code for the program, kept for uid 0, as which sidecars start: 15 of their 60 ms to load (measured). No mode, so it ends
# at once, with exit code 1; a cache that does not fit is ignored.
ENV NODE_COMPILE_CACHE=/devmesh/cache
RUN node --max-semi-space-size=8 proxy.mjs 2> /dev/null || test -d "$NODE_COMPILE_CACHE"

# It starts as root to write the namespace's rules, then drops itself to uid 1337 without capabilities.
USER 0:0
# A nursery of fixed size: V8 derives it from the memory limit, and a small sidecar would scavenge all the time. A signal must not
# open the inspector in the application's namespace.
ENTRYPOINT ["node", "--max-semi-space-size=8", "--disable-sigusr1", "/devmesh/proxy.mjs"]
