import { expect, test } from "vitest";
import { lostLines } from "../../../daemon/docker/leave-network.ts";

const mesh = "10.36.0.0/16";
const head = "127.0.0.1\tlocalhost\n::1\tlocalhost\n";

test.each([
  ["lines of other networks", `${head}172.22.0.3\tweb\n172.21.0.3\tweb\n`, head, "172.22.0.3\tweb\n172.21.0.3\tweb\n"],
  ["all but the mesh's own", `${head}172.22.0.3\tweb\n10.36.0.4\tweb\n`, head, "172.22.0.3\tweb\n"],
  ["nor an address that it got when it restarted", `${head}10.36.0.11\tweb\n`, head, ""],
  ["nothing where nothing went", head, head, ""],
  ["nothing for what was added meanwhile", head, `${head}1.2.3.4\tnew\n`, ""],
  ["one of two equal lines", "1.1.1.1 a\n1.1.1.1 a\n", "1.1.1.1 a\n", "1.1.1.1 a\n"],
  ["no blank lines", "\n \n1.1.1.1 a\n", "1.1.1.1 a\n", ""],
  ["a last line that had no end", `${head}172.22.0.3 web`, head, "172.22.0.3 web\n"],
  ["bytes that are no UTF-8", `${head}1.1.1.1 \xff\xfe\n`, head, "1.1.1.1 \xff\xfe\n"],
])("gives back %s", (_why, before, after, lines) => {
  expect(lostLines(before, after, mesh)).toBe(lines);
});
