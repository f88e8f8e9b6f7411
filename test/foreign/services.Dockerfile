# What the foreign project runs on: real servers and clients from Debian's packages, beside Node, in one image.
ARG BASE=node:24-bookworm-slim
FROM ${BASE}
# Nothing is started while packages are installed.
RUN printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d \
 && echo 'Acquire { Retries "3"; http { Timeout "20"; Pipeline-Depth "0"; }; };' > /etc/apt/apt.conf.d/99patience \
 && apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      amqp-tools busybox-static mariadb-server nginx-light postgresql rabbitmq-server redis-server \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/apt/archives/*.deb /var/log/apt /usr/share/doc /usr/share/man

# Postgres as its usual image makes it: initdb's own pg_hba.conf, which trusts loopback, and one line that asks everybody
# else for a password.
RUN install -d -o postgres /srv/postgres \
 && echo "superuser-password" > /tmp/password \
 && su postgres -c "/usr/lib/postgresql/15/bin/initdb -D /srv/postgres -U postgres --pwfile=/tmp/password --no-sync" \
 && echo "host all all all scram-sha-256" >> /srv/postgres/pg_hba.conf \
 && printf '%s\n' "CREATE ROLE app LOGIN PASSWORD 'app-password';" "CREATE DATABASE orders OWNER app;" \
  | su postgres -c "/usr/lib/postgresql/15/bin/postgres --single -D /srv/postgres postgres" \
 && rm /tmp/password

RUN printf '%s\n' "CREATE DATABASE IF NOT EXISTS stock;" \
      "CREATE USER IF NOT EXISTS 'app'@'%' IDENTIFIED BY 'app-password';" "GRANT ALL ON stock.* TO 'app'@'%';" \
    > /etc/mysql/first.sql \
 && printf '%s\n' "default_user = app" "default_pass = app-password" "loopback_users = none" "listeners.tcp.default = 5672" \
    > /etc/rabbitmq/rabbitmq.conf \
 && install -d -o mysql /run/mysqld

ENV PATH=/usr/lib/postgresql/15/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8
LABEL dev.devmesh.image="foreign"
