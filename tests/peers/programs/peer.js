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

function connect(asked) {
  return new Promise((resolve) => {
    const port = Number(asked.port);
    const socket = tls.connect({ ...common(asked), host: "127.0.0.1", port, servername: "localhost" });
    socket.on("secureConnect", () => socket.write("ping\n"));
    const heard = (text) => {
      resolve(text === "pong\n" ? established() : failed(`an answer of ${JSON.stringify(text)}`));
      socket.end();
    };
    listen(socket, heard, resolve);
  });
}

function serve(asked) {
  return new Promise((resolve) => {
    const requestCert = asked.mode !== "none";
    const rejectUnauthorized = asked.mode === "required";
    const demands = { requestCert, rejectUnauthorized, handshakeTimeout: MILLISECONDS };
    const server = tls.createServer({ ...common(asked), ...demands });
    const late = setTimeout(() => ended(failed(`no client connected in ${MILLISECONDS} ms`)), MILLISECONDS);
    const ended = (result) => {
      clearTimeout(late);
      server.close();
      resolve(result);
    };
    server.on("error", (why) => ended(failed(why.message)));
    server.on("connection", () => clearTimeout(late));
    server.on("tlsClientError", (why, socket) => {
      if (why.code === "ERR_TLS_HANDSHAKE_TIMEOUT") return ended(failed(why.message));
      const hungUp = why.code === "ECONNRESET" && socket.authorizationError;
      ended(refused(hungUp ? `${socket.authorizationError}: Node closes without an alert` : reason(why)));
    });
    server.on("secureConnection", (socket) => {
      // Node has no mode that refuses only a bad certificate; after the handshake it is too late for an alert.
      const given = requestCert && Object.keys(socket.getPeerCertificate()).length > 0;
      if (given && !socket.authorized) {
        ended(refused(`${socket.authorizationError}: the program closes without an alert`));
        socket.on("error", () => {});
        socket.destroy();
        return;
      }
      const heard = (text) => {
        socket.end("pong\n");
        ended(text === "ping\n" ? established() : failed(`a request of ${JSON.stringify(text)}`));
      };
      listen(socket, heard, ended);
    });
    server.listen(0, "127.0.0.1", () => console.log(`port=${server.address().port}`));
  });
}

async function main() {
  console.log("ready");
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const asked = Object.fromEntries(line.split("\t").map((pair) => pair.split(/=(.*)/s, 2)));
    let result;
    try {
      result = await (asked.role === "server" ? serve(asked) : connect(asked));
    } catch (why) {
      result = failed(why.message);
    }
    console.log(`result=${result[0]}\tdetail=${result[1].replace(/\s+/g, " ")}`);
  }
  process.exit(0);
}

main();
