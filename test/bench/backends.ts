/** A process of its own: three backends that answer at once with 18 bytes, ports as JSON on stdout. */
const RESPONSE =
  "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 18\r\n\r\nhello from backend";

const ports = Array.from({ length: 3 }, () => listen());
console.log(JSON.stringify(ports));

function listen(): number {
  return Bun.listen<{ received: string }>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      binaryType: "buffer",
      open(socket) {
        socket.data = { received: "" };
      },
      data(socket, data) {
        socket.data.received += data.toString("latin1");
        if (!socket.data.received.endsWith("\r\n\r\n")) return;
        socket.data.received = "";
        socket.write(RESPONSE);
      },
    },
  }).port;
}
