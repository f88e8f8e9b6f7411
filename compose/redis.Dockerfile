# Debian's own Redis, in memory, for the sample shop's carts.
# On the base of the other images, which is Debian with Node: one image less to pull.
ARG BASE=node:24-bookworm-slim
FROM ${BASE}
RUN apt-get update \
 && apt-get install -y --no-install-recommends redis-server \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/apt/archives/*.deb /var/log/*.log /var/log/apt
LABEL dev.devmesh.image="redis"
USER redis
EXPOSE 6379
# The sample shop has no secrets; a cart is gone with its container.
CMD ["redis-server", "--bind", "*", "--protected-mode", "no", "--save", "", "--appendonly", "no", "--dir", "/tmp"]
