# The local stand-in for node:24-bookworm-slim: the Debian base and the pinned Node binary, which is the build context.
ARG BASE=debian:bookworm-slim
FROM ${BASE}
LABEL dev.devmesh.image="node"
COPY node /usr/local/bin/node
CMD ["node"]
