// The ports, the user and the conntrack mark that the rules, the proxy's listeners and the daemon agree on (Istio's numbers).

/** The application's own connections are redirected here. Bound to loopback. */
export const outboundPort = 15001;
/** Connections from outside the container are redirected here. Bound to every address. */
export const inboundPort = 15006;
/** mTLS from other proxies arrives here, not redirected. */
export const peerPort = 15008;
/** Health and metrics. Bound to loopback. */
export const healthPort = 15020;
/** The resolver: queries to Docker's own are redirected here. Bound to loopback. */
export const dnsPort = 15053;

/** An original destination with one of these ports is a loop or a probe: closed and counted. */
export const ownPorts: ReadonlySet<number> = new Set([outboundPort, inboundPort, peerPort, healthPort, dnsPort]);

/** The proxy's user. With the group that it draws (proxy-group.ts) a new connection is the proxy's own. */
export const proxyUid = 1337;
/** Conntrack mark of the proxy's own connections, for as long as their entry lives. */
export const proxyMark = 1337;
/** Conntrack mark of connections that leave directly because their destination is not among the included ones. */
export const directMark = 1338;
/** Conntrack mark of connections from outside that reach the application directly: their port is not among the included ones. */
export const directInboundMark = 1339;
/** Conntrack mark of connections older than the rules, once their other end was told that they are cut. */
export const cutMark = 1340;

/** Docker's resolver, in every container on a network of its own. */
export const dockerDns = { address: "127.0.0.11", port: 53 } as const;
