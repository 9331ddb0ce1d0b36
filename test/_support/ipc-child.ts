// Answers each message, and says when its parent's end of the channel is gone. `reject`: leaves a promise alone.
let count = 0;
process.on("message", (message) => process.send?.({ count: ++count, message }));
process.on("disconnect", () => {
  console.log("disconnected");
  process.exit(0);
});
process.on("unhandledRejection", () => process.send?.("survived"));
if (process.argv[2] === "reject") void Promise.reject(new Error("stray"));
process.send?.("started");
