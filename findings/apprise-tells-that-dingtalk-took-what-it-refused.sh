#!/usr/bin/env bash
# apprise signs for DingTalk with a signature that is encoded twice, and takes the refusal for a delivery.
#
# apprise 2.3.0 (PyPI). Where a robot of DingTalk demands signed messages, apprise puts the signature through quote_plus() and
# hands it to requests as a parameter, which encodes it again: "…=" goes out as "…%253D", so that who decodes the URL once
# reads "…%3D" and not the HMAC. DingTalk answers a message that it does not take with HTTP 200 and `errcode` 310000 in the
# body, and apprise looks at the status alone: notify() returns true. So does it for WeCom's robots (wecombot://, 93000).
# For Feishu it looks at the body. Seen with a receiver on loopback in the place of both services.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check apprise==2.3.0
cat > seen.py <<'END'
import base64, hashlib, hmac, json, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import apprise
from apprise.plugins.dingtalk import NotifyDingTalk
from apprise.plugins.feishu import NotifyFeishu
from apprise.plugins.wecombot import NotifyWeComBot

SECRET = "SECretOfTheRobot"
queries = []


class Refuses(BaseHTTPRequestHandler):
    """HTTP 200 with an error in the body, as these services answer what they do not take."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        queries.append(urlsplit(self.path).query)
        body = json.dumps({"errcode": 310000, "errmsg": "sign not match", "code": 19021, "msg": "sign match fail"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Refuses)
threading.Thread(target=server.serve_forever, daemon=True).start()
here = f"http://127.0.0.1:{server.server_address[1]}"
for plugin in (NotifyDingTalk, NotifyFeishu, NotifyWeComBot):
    plugin.notify_url = here + "/" + plugin.notify_url.split("/", 3)[3]
robot = "abcdef01-0000-4000-8000-000000000000"
for name, url in (
    ("dingtalk", f"dingtalk://{SECRET}@{robot.replace('-', '')}"),
    ("wecombot", f"wecombot://{robot}"),
    ("feishu", f"feishu://{robot}"),
):
    sender = apprise.Apprise()
    sender.add(url)
    print(f"{name} refused it: notify() is {bool(sender.notify(body='hello'))}")
sent = parse_qs(queries[0])
key, (stamp,), (sign,) = SECRET.encode(), sent["timestamp"], sent["sign"]
right = base64.b64encode(hmac.new(key, f"{stamp}\n{SECRET}".encode(), hashlib.sha256).digest()).decode()
print("the signature as it arrives is the right one:", sign == right)
print("its end, as it goes out:", queries[0][-5:], "and as it should:", right[-1])
END
venv/bin/python seen.py 2> /dev/null | tee got
diff -u - got <<'END'
dingtalk refused it: notify() is True
wecombot refused it: notify() is True
feishu refused it: notify() is False
the signature as it arrives is the right one: False
its end, as it goes out: %253D and as it should: =
END
echo 'as described above'
