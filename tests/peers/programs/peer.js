// Plays one TLS case for each line of standard input, on Node.js; programs.py tells what the lines say.
"use strict";
const fs = require("fs");
const readline = require("readline");
const tls = require("tls");

const MILLISECONDS = 15000;

const established = () => ["established", ""];
const refused = (why) => ["refused", why];
const failed = (why) => ["error", why];
const reason = (why) => why.reason ?? why.message;

function common(asked) {
  const options = { minVersion: `TLSv${asked.version}`, maxVersion: `TLSv${asked.version}` };
  options.ca = fs.readFileSync(asked.ca);
  if (asked.certificate) options.key = options.cert = fs.readFileSync(asked.certificate);
  return options;
}

/** Calls `heard` with the first line that comes, `ended` where none does. */
function listen(socket, heard, ended) {
  let text = "";
  socket.setTimeout(MILLISECONDS, () => {
    ended(failed(`nothing came in ${MILLISECONDS} ms`));
    socket.destroy();
  });
  socket.on("data", (data) => {
    text += data;
    if (text.endsWith("\n")) heard(text);
  });
  socket.on("error", (why) => ended(why.syscall === "connect" ? failed(why.message) : refused(reason(why))));
  socket.on("close", () => ended(refused("closed without an alert")));
}

function connect(asked, session, keep) {
  return new Promise((resolve) => {
    const to = { host: "127.0.0.1", port: Number(asked.port), servername: "localhost", session };
    const socket = tls.connect({ ...common(asked), ...to });
    socket.on("session", keep);
    socket.on("secureConnect", () => socket.write("ping\n"));
    const heard = (text) => {
      resolve(text === "pong\n" ? established() : failed(`an answer of ${JSON.stringify(text)}`));
      socket.end();
    };
    listen(socket, heard, resolve);
  });
}

/** Calls `told` with the result of each connection, once. */
function serve(asked, told) {
  const requestCert = asked.mode !== "none";
  const rejectUnauthorized = asked.mode === "required";
  const demands = { requestCert, rejectUnauthorized, handshakeTimeout: MILLISECONDS };
  const server = tls.createServer({ ...common(asked), ...demands });
  const over = new WeakSet();
  const ended = (socket, result) => {
    if (!over.has(socket)) told(result);
    over.add(socket);
  };
  server.on("error", (why) => told(failed(why.message)));
  server.on("tlsClientError", (why, socket) => {
    if (why.code === "ERR_TLS_HANDSHAKE_TIMEOUT") return ended(socket, failed(why.message));
    const hungUp = why.code === "ECONNRESET" && socket.authorizationError;
    ended(socket, refused(hungUp ? `${socket.authorizationError}: Node closes without an alert` : reason(why)));
  });
  server.on("secureConnection", (socket) => {
    // Node has no mode that refuses only a bad certificate; after the handshake it is too late for an alert.
    const given = requestCert && Object.keys(socket.getPeerCertificate()).length > 0;
    if (given && !socket.authorized) {
      ended(socket, refused(`${socket.authorizationError}: the program closes without an alert`));
      socket.on("error", () => {});
      socket.destroy();
      return;
    }
    const heard = (text) => {
      socket.end("pong\n");
      ended(socket, text === "ping\n" ? established() : failed(`a request of ${JSON.stringify(text)}`));
    };
    listen(socket, heard, (result) => ended(socket, result));
  });
  server.listen(0, "127.0.0.1", () => console.log(`port=${server.address().port}`));
  return server;
}

function tell(result) {
  console.log(`result=${result[0]}\tdetail=${result[1].replace(/\s+/g, " ")}`);
}

function serveAll(asked, times) {
  return new Promise((resolve) => {
    const late = () => tell(failed(`no client connected in ${MILLISECONDS} ms`));
    let timer = setTimeout(late, MILLISECONDS);
    const server = serve(asked, (result) => {
      tell(result);
      if (--times > 0) {
        timer = setTimeout(late, MILLISECONDS);
      } else {
        server.close();
        resolve();
      }
    });
    server.on("connection", () => clearTimeout(timer));
  });
}

async function connectAll(asked, times) {
  let session;
  while (times--) {
    tell(await connect(asked, session, (ticket) => { session = ticket; }));
  }
}

async function main() {
  console.log("ready");
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const asked = Object.fromEntries(line.split("\t").map((pair) => pair.split(/=(.*)/s, 2)));
    try {
      await (asked.role === "server" ? serveAll : connectAll)(asked, Number(asked.times));
    } catch (why) {
      tell(failed(why.message));
    }
  }
  process.exit(0);
}

main();
