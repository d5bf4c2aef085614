"""The yardstick: a bare bottle + waitress server that parses and echoes the same body, with alertlite's server settings."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import bottle  # noqa: E402
import waitress.server  # noqa: E402

import alertlite  # noqa: E402

app = bottle.Bottle()


@app.route("/alert", "POST")
def echo() -> bytes:
    value = json.loads(bottle.request.environ["wsgi.input"].read())
    bottle.response.content_type = "application/json"
    return json.dumps(value).encode()


@app.route("/ping/<code>", "GET")
def pong(code: str) -> bytes:
    bottle.response.content_type = "text/plain"
    return b"OK"


if __name__ == "__main__":
    settings = alertlite.waitress_settings(alertlite.load_settings({}, {}))
    waitress.server.create_server(app, host="127.0.0.1", port=int(sys.argv[1]), **settings).run()
