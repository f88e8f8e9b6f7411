// As much of PostgreSQL's protocol as the API needs: one connection, kept, made anew when it is lost. SCRAM-SHA-256 (RFC 7677).
import { createHash, createHmac, pbkdf2Sync, randomBytes } from "node:crypto";
import net from "node:net";

const hmac = (key, text) => createHmac("sha256", key).update(text).digest();
const sha = (bytes) => createHash("sha256").update(bytes).digest();

function message(type, ...parts) {
  const body = Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(`${part}\0`) : part)));
  const head = Buffer.alloc(type === "" ? 4 : 5, type);
  head.writeInt32BE(body.length + 4, head.length - 4);
  return Buffer.concat([head, body]);
}

function int32(value) {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

/** An error's fields by their letter: S severity, C code, M message. */
function fieldsOf(body) {
  const fields = body
    .toString()
    .split("\0")
    .filter((field) => field !== "");
  return Object.fromEntries(fields.map((field) => [field[0], field.slice(1)]));
}

class Connection {
  constructor({ host, port, user, database, password }) {
    this.user = user;
    this.password = password;
    this.waiting = [];
    this.rest = Buffer.alloc(0);
    this.error = null;
    this.socket = net.connect({ host, port }, () => {
      this.socket.write(message("", int32(196608), "user", user, "database", database, Buffer.alloc(1)));
    });
    this.socket.setKeepAlive(true, 1000);
    this.socket.on("data", (chunk) => this.read(chunk));
    this.socket.on("error", (error) => this.fail(error));
    this.socket.on("close", () => this.fail(new Error("the database hung up")));
    this.ready = this.answer();
  }

  fail(error) {
    this.error ??= error;
    this.socket.destroy();
    for (const { reject } of this.waiting.splice(0)) reject(this.error);
  }

  answer() {
    if (this.error !== null) return Promise.reject(this.error);
    return new Promise((resolve, reject) => this.waiting.push({ rows: [], error: null, resolve, reject }));
  }

  async query(text) {
    await this.ready;
    const answer = this.answer();
    this.socket.write(message("Q", text));
    return await answer;
  }

  read(chunk) {
    this.rest = Buffer.concat([this.rest, chunk]);
    while (this.rest.length >= 5 && this.rest.length > this.rest.readInt32BE(1)) {
      const length = this.rest.readInt32BE(1);
      this.take(String.fromCharCode(this.rest[0]), this.rest.subarray(5, length + 1));
      this.rest = this.rest.subarray(length + 1);
    }
  }

  take(type, body) {
    const [current] = this.waiting;
    if (type === "R") this.authenticate(body);
    else if (type === "D") current?.rows.push(columnsOf(body));
    else if (type === "E") {
      const { C: code, M: text } = fieldsOf(body);
      const error = Object.assign(new Error(text), { code });
      // Before it is ready an error is the end.
      if (current === undefined || !this.isReady) this.fail(error);
      else current.error = error;
    } else if (type === "Z") {
      this.isReady = true;
      this.waiting.shift();
      if (current?.error) current.reject(current.error);
      else current?.resolve(current.rows);
    }
  }

  authenticate(body) {
    const kind = body.readInt32BE(0);
    if (kind === 10) {
      this.first = `n=,r=${randomBytes(18).toString("base64")}`;
      const text = Buffer.from(`n,,${this.first}`);
      this.socket.write(message("p", "SCRAM-SHA-256", int32(text.length), text));
    } else if (kind === 11) {
      const server = body.subarray(4).toString();
      const { r, s, i } = Object.fromEntries(server.split(",").map((part) => [part[0], part.slice(2)]));
      const salted = pbkdf2Sync(this.password, Buffer.from(s, "base64"), Number(i), 32, "sha256");
      const clientKey = hmac(salted, "Client Key");
      const last = `c=biws,r=${r}`;
      const signature = hmac(sha(clientKey), `${this.first},${server},${last}`);
      const proof = clientKey.map((byte, at) => byte ^ signature[at]);
      this.socket.write(message("p", Buffer.from(`${last},p=${Buffer.from(proof).toString("base64")}`)));
    }
  }
}

function columnsOf(body) {
  const columns = [];
  for (let at = 2, n = body.readInt16BE(0); n > 0; n--) {
    const length = body.readInt32BE(at);
    at += 4;
    columns.push(length < 0 ? null : body.toString("utf8", at, at + length));
    at += Math.max(0, length);
  }
  return columns;
}

export class Postgres {
  constructor(options) {
    this.options = options;
    this.connection = null;
  }

  /** Rows of texts. */
  async query(text) {
    if (this.connection === null || this.connection.error !== null) {
      this.connection = new Connection(this.options);
      // Each query that waits for it tells its own caller.
      this.connection.ready.catch(() => undefined);
    }
    return await this.connection.query(text);
  }
}
