// Ports that everybody knows not to speak HTTP: never sniffed, whether or not a service lists them. The daemon says so of the
// ports that it finds, the proxy of those that nobody told it about.
import type { PortConfig, Protocol } from "./config.ts";

/**
 * On most of these the server speaks first, so a proxy that waits for the client's bytes only adds delay. 25, 53, 3306 and 27017
 * are Istio's own list. A port that is also usual for a console or a health endpoint in HTTP (9093, 8222) is not here.
 */
export const wellKnownTcpPorts: ReadonlySet<number> = new Set([
  // FTP, SSH, telnet, mail, news, VNC
  21, 22, 23, 24, 25, 110, 119, 143, 465, 587, 993, 995, 1025, 2525, 4190, 5900,
  // DNS, LDAP
  53, 389, 636,
  // MySQL, PostgreSQL and its poolers, SQL Server, Oracle, CockroachDB, MongoDB, Cassandra
  3306, 33060, 5432, 6432, 1433, 1521, 26257, 27017, 27018, 27019, 9042,
  // Redis and its sentinels, memcached
  6379, 6380, 26379, 11211,
  // AMQP, MQTT, NATS, Kafka, ZooKeeper, ActiveMQ
  5671, 5672, 1883, 8883, 4222, 9092, 2181, 61616,
]);

/** What is spoken at a port that was dialled; `ports` by number, aliases included. */
export function protocolAt(ports: ReadonlyMap<number, PortConfig>, port: number): Protocol {
  return ports.get(port)?.protocol ?? (wellKnownTcpPorts.has(port) ? "tcp" : "auto");
}
