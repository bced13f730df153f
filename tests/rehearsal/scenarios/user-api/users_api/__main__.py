"""Run the API: python3 -m users_api [--host H] [--port N] [--database FILE]."""

import argparse

from .server import make_server


def main():
    parser = argparse.ArgumentParser(prog="users_api", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free port")
    parser.add_argument("--database", default="users.db", help="SQLite file, or :memory:")
    options = parser.parse_args()
    server = make_server(options.host, options.port, options.database, verbose=True)
    host, port = server.server_address[:2]
    print(f"users API on http://{host}:{port}/users", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()


if __name__ == "__main__":
    main()
