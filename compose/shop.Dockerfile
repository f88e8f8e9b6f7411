# Every service of the sample shop: TypeScript that Node runs as it is. compose names the service to start.
ARG BASE=node:24-bookworm-slim
FROM ${BASE}
LABEL dev.devmesh.image="shop" org.opencontainers.image.licenses="Apache-2.0"
ENV NODE_ENV=production
WORKDIR /shop
COPY shop/ ./
USER 1000:1000
ENTRYPOINT ["node"]
CMD ["website/main.ts"]
