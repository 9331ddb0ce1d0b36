import { join } from "node:path";

/** How to start one proxy in front of the backends, in the foreground, with one worker. */
export interface ProxyRecipe {
  readonly name: string;
  readonly command: readonly string[];
  readonly files: Readonly<Record<string, string>>;
  /** Beside this process's own variables. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface ProxyPlace {
  readonly folder: string;
  readonly port: number;
  readonly backends: readonly number[];
}

/** All three by least connections, with keep-alive to the backends and without an access log. */
export const recipes: Readonly<Record<string, (place: ProxyPlace) => ProxyRecipe | null>> = {
  nginx({ folder, port, backends }) {
    const program = find("nginx");
    if (program === null) return null;
    const config = `
      daemon off;
      worker_processes 1;
      pid ${folder}/nginx.pid;
      error_log stderr error;
      events { worker_connections 1024; }
      http {
        access_log off;
        client_body_temp_path ${folder}/body;
        proxy_temp_path ${folder}/proxy;
        fastcgi_temp_path ${folder}/fastcgi;
        uwsgi_temp_path ${folder}/uwsgi;
        scgi_temp_path ${folder}/scgi;
        keepalive_requests 1000000000;
        upstream web {
          least_conn;
          ${backends.map((backend) => `server 127.0.0.1:${backend};`).join(" ")}
          keepalive 256;
          keepalive_requests 1000000000;
        }
        server {
          listen 127.0.0.1:${port};
          location / {
            proxy_pass http://web;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
          }
        }
      }`;
    const file = join(folder, "nginx.conf");
    return {
      name: "nginx",
      command: [program, "-e", "stderr", "-p", folder, "-c", file],
      files: { "nginx.conf": config },
    };
  },

  haproxy({ folder, port, backends }) {
    const program = find("haproxy");
    if (program === null) return null;
    const config = [
      "global",
      "  nbthread 1",
      "defaults",
      "  mode http",
      "  timeout connect 2s",
      "  timeout client 60s",
      "  timeout server 60s",
      "frontend front",
      `  bind 127.0.0.1:${port}`,
      "  option forwardfor",
      "  default_backend web",
      "backend web",
      "  balance leastconn",
      "  http-reuse always",
      ...backends.map((backend) => `  server b${backend} 127.0.0.1:${backend}`),
      "",
    ].join("\n");
    const file = join(folder, "haproxy.cfg");
    return {
      name: "haproxy",
      command: [program, "-db", "-q", "-f", file],
      files: { "haproxy.cfg": config },
    };
  },
};

/** Leastwise itself, as a user starts it. */
export function leastwiseRecipe(binary: string, place: ProxyPlace, admin: number): ProxyRecipe {
  return {
    name: "leastwise",
    command: [
      binary,
      "serve",
      `--listen=127.0.0.1:${place.port}`,
      `--admin=127.0.0.1:${admin}`,
      "--workers=1",
      ...place.backends.map((port) => `--backend=http://127.0.0.1:${port}`),
    ],
    files: {},
  };
}

/** Debian keeps servers in /usr/sbin, which is not on everybody's PATH. */
function find(program: string): string | null {
  return Bun.which(program, { PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/usr/local/sbin` });
}
