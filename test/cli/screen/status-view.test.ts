import { describe, expect, test } from "vitest";
import { duration, milliseconds, percent, rate, statusLines } from "../../../cli/screen/status-view.ts";
import { printable, tableLines } from "../../../cli/screen/table.ts";
import type { ServiceView, StatusView, WorkloadView } from "../../../daemon/api/view.ts";

const startedAt = "2026-05-04T10:00:00.000Z";
const now = Date.parse(startedAt) + 125_000;

function workload(container: string, more: Partial<WorkloadView> = {}): WorkloadView {
  const ready = { state: "running", sidecar: "ready", reason: "", configHash: "h", isSynced: true } as const;
  const rates = { rps: 1, errorRatio: 0.5, p50Ms: 1, p99Ms: 10 };
  return { container, id: container, version: null, certificateExpiresAt: null, ...ready, ...rates, ...more };
}

function service(name: string, workloads: readonly WorkloadView[], more: Partial<ServiceView> = {}): ServiceView {
  const rates = { rps: 10, errorRatio: 0, p50Ms: 2.04, p99Ms: 1234, lastError: null, lastErrorAt: null };
  return { name, mtls: "strict", ports: [], address: "", split: [], openPorts: [], workloads, ...rates, ...more };
}

const view: StatusView = {
  mesh: "shop",
  project: "shop",
  version: "1",
  pid: 1,
  startedAt,
  health: "ok",
  config: { file: "mesh.yaml", revision: 3, appliedAt: startedAt, isInSync: true, diagnostics: [] },
  services: [
    service(
      "payment",
      [
        workload("shop_payment-v1_1", { version: "v1", rps: 9, errorRatio: 0 }),
        workload("shop_payment-v2_1", { version: "v2", errorRatio: 0 }),
      ],
      {
        split: [
          { version: "v1", weight: 90, seen: 0.901 },
          { version: "v2", weight: 10, seen: 0.099 },
        ],
      },
    ),
    service("website", [workload("shop_website_1")], { rps: 120.4, errorRatio: 0.0312, openPorts: [8080] }),
  ],
  gateways: [{ listen: "127.0.0.1:8080", url: "http://127.0.0.1:8080", to: "website", state: "ready", reason: "" }],
  unmeshed: [{ container: "shop_metrics_1", service: "metrics", reason: "network_mode host" }],
  troubles: [],
  edges: [
    {
      from: "website",
      to: "payment",
      version: "v1",
      protocol: "http",
      rps: 9,
      errorRatio: 0,
      p50Ms: 2,
      p99Ms: 5,
      mtlsRatio: 1,
      requests: 1200,
      errors: 0,
    },
  ],
  totals: { rps: 20, errorRatio: 0.004, p50Ms: 3, p99Ms: 31 },
  mtlsRatio: 0.985,
  events: [],
};

const reason = "its rules could not be installed: nft says that the kernel has no such table, and nothing else";
const long: StatusView = {
  ...view,
  health: "degraded",
  config: { ...view.config, file: `deep/${"folder/".repeat(20)}mesh.yaml` },
  services: [service("website", [workload("website", { reason })]), service("a-name-of-".repeat(8), [])],
};

const texts = (shown: StatusView, columns: number): string[] =>
  statusLines(shown, now, { columns, rows: 24 }).map(({ text }) => text);

describe("the status", () => {
  test("says everything in 132 columns", () => {
    expect(texts(view, 132)).toMatchInlineSnapshot(`
      [
        "devmesh shop  up 2m  2 services  mTLS 98.5%  20.0 rps  0.4% err  p99 31ms  ok",
        "config mesh.yaml  #3  in force",
        "",
        "SERVICE  VERSION  CONTAINER          STATE    SIDECAR  SPLIT/SEEN  MTLS    RPS   ERR    P50   P99",
        "payment  v1       shop_payment-v1_1  running  ready    90/90.1%    strict  9.0    0%  1.0ms  10ms",
        "payment  v2       shop_payment-v2_1  running  ready    10/9.9%     strict  1.0    0%  1.0ms  10ms",
        "website  -        shop_website_1     running  ready                strict  120  3.1%  2.0ms  1.2s",
        "",
        "FROM     TO          PROTO  RPS  ERR    P50    P99  MTLS  REQUESTS",
        "website  payment v1  http   9.0   0%  2.0ms  5.0ms  100%      1200",
        "",
        "gateway http://127.0.0.1:8080 -> website  ready",
        "",
        "open to the host: website on published port 8080",
        "not in the mesh: shop_metrics_1: network_mode host",
      ]
    `);
  });

  test("folds columns away in 80 and in fewer, and no line is wider than the terminal", () => {
    expect(texts(view, 80)).toMatchInlineSnapshot(`
      [
        "devmesh shop  up 2m  2 services  mTLS 98.5%  20.0 rps  0.4% err  p99 31ms  ok",
        "config mesh.yaml  #3  in force",
        "",
        "SERVICE  VERSION  CONTAINER          SIDECAR  SPLIT/SEEN  RPS   ERR   P99",
        "payment  v1       shop_payment-v1_1  ready    90/90.1%    9.0    0%  10ms",
        "payment  v2       shop_payment-v2_1  ready    10/9.9%     1.0    0%  10ms",
        "website  -        shop_website_1     ready                120  3.1%  1.2s",
        "",
        "FROM     TO          PROTO  RPS  ERR    P50    P99  MTLS  REQUESTS",
        "website  payment v1  http   9.0   0%  2.0ms  5.0ms  100%      1200",
        "",
        "gateway http://127.0.0.1:8080 -> website  ready",
        "",
        "open to the host: website on published port 8080",
        "not in the mesh: shop_metrics_1: network_mode host",
      ]
    `);
    for (const columns of [80, 60, 40, 10, 1, 0]) {
      for (const text of texts(long, columns)) expect(text.length).toBeLessThanOrEqual(Math.max(1, columns));
    }
    expect(texts(long, 80).join(" ").replace(/\s+/g, " ")).toContain(`website: ${reason}`);
  });

  test("a container that does not run keeps its state where there is little room", () => {
    const stopped = { ...view, services: [service("web", [workload("web_1", { state: "exited" })])] };
    expect(texts(stopped, 60).join()).toContain("STATE");
    expect(texts(stopped, 60).find((text) => text.startsWith("web "))).toContain("exited");
    expect(texts(view, 60).join()).not.toContain("STATE");
  });

  test("containers of one service have their own figures, and a single one has the service's", () => {
    const of = (name: string) => texts(view, 132).filter((text) => text.startsWith(name));
    expect(of("payment  v").map((text) => text.split(/ +/).slice(7, 9))).toEqual([
      ["9.0", "0%"],
      ["1.0", "0%"],
    ]);
    expect(of("website  -")[0]).toContain("  120  3.1%");
  });

  test("the last error is shown with its age", () => {
    const lastErrorAt = new Date(now - 12_000).toISOString();
    const one = { ...view, services: [service("web", [], { lastError: "503 UH to cart", lastErrorAt })] };
    expect(texts(one, 132)).toContain("last error of web, 12s ago: 503 UH to cart");
  });

  test("an edge of which nobody knows whether mTLS carried it says neither", () => {
    const [edge] = view.edges;
    const edges = edge === undefined ? [] : [{ ...edge, mtlsRatio: null }];
    expect(texts({ ...view, edges }, 132).find((text) => text.startsWith("website  payment"))).toMatch(
      /5\.0ms +- +1200$/,
    );
  });

  test("shows what is wrong with the file until it is mended, and that the one before is in force", () => {
    const broken = { ...view, health: "degraded", config: { ...view.config, diagnostics: [mistake] } } as const;
    expect(texts(broken, 132).slice(0, 4)).toEqual([
      "devmesh shop  up 2m  2 services  mTLS 98.5%  20.0 rps  0.4% err  p99 31ms  DEGRADED",
      "config mesh.yaml  #3  NOT APPLIED, the version before it is in force",
      "mesh.yaml:12:7 error: split names v3, but payment has v1, v2 (DM1103)",
      "  hint: use one of those",
    ]);
    expect(statusLines(broken, now, { columns: 132, rows: 24 })[1]?.tone).toBe("bad");
  });

  test("shows what is wrong around the daemon", () => {
    const troubled = {
      ...view,
      troubles: ["cannot write /state/epoch.json: the disk is full (DM0402); free some space"],
    };
    const line = statusLines(troubled, now, { columns: 132, rows: 24 }).find(({ text }) => text.includes("DM0402"));
    expect(line).toEqual({ text: troubled.troubles[0], tone: "bad" });
  });

  test.each<[string, Partial<WorkloadView>, string, string]>([
    ["is ready", {}, "ready", "good"],
    ["has yet to take the newest config", { isSynced: false }, "syncing", "good"],
    ["starts", { sidecar: "starting" }, "starting", "warn"],
    ["failed", { sidecar: "failed", reason: "no image" }, "failed", "bad"],
    ["has none", { sidecar: "none" }, "none", "warn"],
    ["stopped", { state: "exited" }, "ready", "warn"],
  ])("a container whose sidecar %s", (_why, more, text, tone) => {
    const one = { ...view, services: [service("web", [workload("web_1", more)])] };
    const line = statusLines(one, now, { columns: 132, rows: 24 }).find((row) => row.text.startsWith("web "));
    expect(line?.text.split(/ +/)[4]).toBe(text);
    expect(line?.tone).toBe(tone);
  });

  test("a service without containers is there, and bad", () => {
    const lines = statusLines({ ...view, services: [service("web", [])] }, now, { columns: 132, rows: 24 });
    expect(lines.find(({ text }) => text.startsWith("web "))).toMatchObject({ tone: "bad" });
    expect(lines.find(({ text }) => text.includes("(none)"))).toBeDefined();
  });

  test("nothing that a container is called or a peer says moves the cursor", () => {
    const esc = "\x1b[2J\r\u202E";
    const hostile: StatusView = {
      ...view,
      mesh: `a${esc}`,
      config: { ...view.config, file: `f${esc}`, diagnostics: [{ ...mistake, message: esc, hint: esc }] },
      services: [service(`s${esc}`, [workload(`c${esc}`, { reason: esc, version: esc })], { lastError: esc })],
      gateways: [{ listen: esc, url: esc, to: esc, state: "failed", reason: esc }],
      unmeshed: [{ container: esc, service: esc, reason: esc }],
      edges: view.edges.map((edge) => ({ ...edge, from: esc, to: esc })),
    };
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not be there.
    for (const text of texts(hostile, 200)) expect(text).not.toMatch(/[\x00-\x1f\x7f-\x9f\u202a-\u202e]/);
  });
});

const mistake = {
  severity: "error",
  code: "DM1103",
  message: "split names v3, but payment has v1, v2",
  hint: "use one of those",
  file: "mesh.yaml",
  line: 12,
  column: 7,
} as const;

describe("figures", () => {
  test.each([
    [0, "0%"],
    [0.0004, "0.0%"],
    [0.0312, "3.1%"],
    [0.9994, "99.9%"],
    [0.9996, "100%"],
    [1, "100%"],
  ])("a share of %f is %s", (ratio, text) => expect(percent(ratio)).toBe(text));

  test.each([
    [0, "0.0"],
    [9.96, "10.0"],
    [99.4, "99.4"],
    [812.3, "812"],
  ])("%f a second is %s", (value, text) => expect(rate(value)).toBe(text));

  test.each([
    [0, "-"],
    [0.4, "0.4ms"],
    [31.4, "31ms"],
    [1234, "1.2s"],
  ])("%f milliseconds are %s", (value, text) => expect(milliseconds(value)).toBe(text));

  test.each([
    [-5, "0s"],
    [59_999, "59s"],
    [125_000, "2m"],
    [3_725_000, "1h2m"],
  ])("%i milliseconds of uptime are %s", (value, text) => expect(duration(value)).toBe(text));
});

describe("a table", () => {
  const columns = [
    { title: "NAME", text: (row: { name: string; n: number }) => row.name },
    { title: "N", isRight: true, text: (row: { name: string; n: number }) => String(row.n) },
  ];

  test("lines its columns up, numbers to the right", () => {
    const rows = [
      { name: "a", n: 1 },
      { name: "long-name", n: 1000 },
    ];
    expect(tableLines(columns, rows)).toEqual(["NAME          N", "a             1", "long-name  1000"]);
    expect(tableLines(columns, rows, 6)).toEqual(["NAME", "a", "long-n"]);
  });

  test("without rows is its title", () => expect(tableLines(columns, [])).toEqual(["NAME  N"]));

  test.each([
    ["escape", "a\x1b[31mb", "a?[31mb"],
    ["new lines and tabs", "a\nb\tc\rd", "a?b?c?d"],
    ["C1 controls", "a\u009b2Jb", "a?2Jb"],
    ["marks that turn the writing round", "a\u202eb\u2066c", "a?b?c"],
    ["what has no width", "a\u200bb\ufeffc", "a?b?c"],
    ["nothing of other scripts", "zażółć 漢字", "zażółć 漢字"],
  ])("prints no %s", (_why, text, expected) => expect(printable(text)).toBe(expected));
});
