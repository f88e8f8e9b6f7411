# Debian's own Redis, in memory, for the sample shop's carts.
# On the base of the other images, which is Debian with Node: one image less to pull.
ARG BASE=node:24-bookworm-slim
FROM ${BASE}
COPY apt-install.sh /build/
COPY network/ /build/network/
RUN sh /build/apt-install.sh redis-server
LABEL dev.devmesh.image="redis"
USER redis
EXPOSE 6379
# The sample shop has no secrets; a cart is gone with its container.
CMD ["redis-server", "--bind", "*", "--protected-mode", "no", "--save", "", "--appendonly", "no", "--dir", "/tmp"]
