/**
 * Answers 401 after the head, and closes with the request's body unread: the kernel then resets the
 * connection, usually while the proxy is still sending.
 */
export function startRefusingBackend(): { readonly url: string; stop(): void } {
  const answer = "HTTP/1.1 401 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno";
  const server = Bun.listen<{ heard: boolean }>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(socket) {
        socket.data = { heard: false };
      },
      data(socket) {
        if (socket.data.heard) return;
        socket.data.heard = true;
        socket.pause();
        socket.write(answer);
        socket.end();
      },
    },
  });
  return { url: `http://127.0.0.1:${server.port}`, stop: () => server.stop(true) };
}
