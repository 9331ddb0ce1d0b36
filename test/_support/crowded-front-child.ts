// A bare front that says its port; run under a low limit of file descriptors.
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  development: false,
  fetch: () => new Response("ok"),
});
console.log(server.port);
