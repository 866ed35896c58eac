// A client of Socket.IO as people write them: prints what it hears, one line of JSON each, and acknowledges results.
// node listen.js ADDRESS OPTIONS KNOWN: KNOWN is "known" for one that answers by the name of the job, else it uses the callback.
"use strict";
const { io } = require("socket.io-client");

const [address, options, known] = process.argv.slice(2);
const quick = { reconnectionDelay: 50, reconnectionDelayMax: 200, forceNew: true };
const socket = io(address, { ...quick, ...JSON.parse(options) });

function say(name, data) {
  process.stdout.write(JSON.stringify([name, data]) + "\n");
}

for (const name of ["hello", "reset", "subscribed", "job-update", "task-update", "error"]) {
  socket.on(name, (data) => say(name, data));
}
if (known === "known") {
  socket.on("update-on-jobs", (data) => {
    say("update-on-jobs", data);
    socket.emit(`update-on-job-received:${data.messageId}`);
  });
} else {
  socket.on("update-on-jobs", (data, acknowledge) => {
    say("update-on-jobs", data);
    acknowledge();
  });
}
socket.on("connect", () => say("connect", { transport: socket.io.engine.transport.name }));
socket.on("disconnect", (reason) => say("disconnect", { reason }));
socket.on("connect_error", (error) => say("connect_error", { error: error.message, active: socket.active }));
socket.io.on("open", () => socket.io.engine.on("upgrade", (transport) => say("upgrade", { transport: transport.name })));
