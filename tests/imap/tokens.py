"""A server of OAuth2 tokens on loopback: refresh with rotation, the device flow, the flow by a browser with PKCE, and the
introspection by which Dovecot asks whether a token is good."""

import base64
import hashlib
import http.server
import json
import secrets
import threading
import time
import urllib.parse

from certs import certs
from client import PASSWORD, USER

CLIENT = "client-1"

DOVECOT = """passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {path}
}}
passdb {{
  driver = static
  mechanisms = plain login
  args = password={password}
}}"""
INTROSPECTION = """introspection_mode = post
introspection_url = {url}/introspect
username_attribute = email
active_attribute = active
active_value = true
"""


class Tokens:
    """`lasts`: seconds that an access token is good for. A refresh token is good until what it brought is used."""

    def __init__(self, place, lasts=3600, secret=None, rotates=True, cert=None):
        self.lasts, self.secret, self.rotates = lasts, secret, rotates
        self.lock = threading.RLock()
        self.access, self.refresh, self.requests, self.refused = {}, {}, [], []
        self.devices, self.codes, self.answers = {}, {}, []
        self.tenants = set()  # in whose name it was asked
        self.answer_instead = None  # (status, object, headers or nothing) for whatever is asked of /token
        self.delay = 0  # seconds before an answer of /token
        tokens = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.answer(urllib.parse.urlparse(self.path).query)

            def do_POST(self):
                self.answer(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())

            def answer(self, text):
                given = dict(urllib.parse.parse_qsl(text))
                status, value, headers = tokens.ask(urllib.parse.urlparse(self.path).path, given)
                body = json.dumps(value).encode()
                self.send_response(status)
                for header in headers.items():
                    self.send_header(*header)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        if cert:  # the name of what it shows (certs.py)
            self.server.socket = certs().server(cert).wrap_socket(self.server.socket, server_side=True)
            self.url = f"https://localhost:{self.server.server_port}"
        self.server.handle_error = lambda *_: None  # who asks may be killed
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        place.later(self.server.server_close)
        place.later(self.server.shutdown)

    def passdb(self, place):
        """For a Dovecot that takes our tokens, and the password of the tests."""
        path = place.file("oauth2.conf.ext", INTROSPECTION.format(url=self.url))
        return DOVECOT.format(path=path, password=PASSWORD)

    def new_refresh(self):
        with self.lock:
            token = "r-" + secrets.token_urlsafe(24)
            self.refresh[token] = None
            return token

    def new_access(self, user=USER):
        with self.lock:
            token = "a-" + secrets.token_urlsafe(24)
            self.access[token] = (user, time.monotonic() + self.lasts)
            return token

    def revoke_access(self):
        with self.lock:
            self.access = {}

    def revoke_refresh(self):
        with self.lock:
            self.refresh = {}

    def count(self, grant):
        return len([given for path, given in self.requests if path == "/token" and given.get("grant_type", "").endswith(grant)])

    def ask(self, path, given):
        if "/oauth2/v2.0/" in path:  # as Microsoft's server has it
            _, tenant, _, _, path = path.split("/", 4)
            self.tenants.add(tenant)
            path = "/" + path
        if path == "/token":
            time.sleep(self.delay)
        with self.lock:
            self.requests.append((path, given))
            if path == "/introspect":
                return self.introspect(given)
            if path == "/authorize":
                return self.authorize(given)
            if path not in ("/token", "/devicecode") or given.get("client_id") != CLIENT:
                return 400, {"error": "invalid_client"}, {}
            if path == "/devicecode":
                return self.begin_device(given)
            if self.answer_instead:
                status, value, *headers = self.answer_instead
                return status, value, headers[0] if headers else {}
            if self.secret and given.get("client_secret") != self.secret:
                return 401, {"error": "invalid_client"}, {}
            return self.token(given)

    def introspect(self, given):
        user, until = self.access.get(given.get("token"), (None, 0))
        if time.monotonic() > until:
            self.refused.append(given.get("token"))
            return 200, {"active": False}, {}
        # now it is used: what it was had for is good for nothing any more
        for old in [old for old, brought in self.refresh.items() if brought == given["token"]]:
            del self.refresh[old]
        return 200, {"active": True, "email": user, "username": user}, {}

    def token(self, given):
        grant = given.get("grant_type", "").rsplit(":", 1)[-1]
        if grant == "refresh_token":
            if given.get("refresh_token") not in self.refresh:
                return 400, {"error": "invalid_grant", "error_description": "Token has been expired or revoked."}, {}
            return self.grant(given["refresh_token"] if self.rotates else None)
        if grant == "client_credentials":
            return self.grant(None, False)
        if grant == "device_code":
            return self.device(given)
        if grant == "authorization_code":
            return self.code(given)
        return 400, {"error": "unsupported_grant_type"}, {}

    def grant(self, old=None, renews=True):
        access = self.new_access()
        answer = {"access_token": access, "token_type": "Bearer", "expires_in": self.lasts}
        if old:
            self.refresh[old] = access
        if old or (renews and self.rotates):
            answer["refresh_token"] = self.new_refresh()
        return 200, answer, {}

    def begin_device(self, given):
        code = secrets.token_urlsafe(12)
        self.devices[code] = list(self.answers)
        return 200, {"device_code": code, "user_code": "WDJB-MJHT", "verification_uri": f"{self.url}/device",
                     "expires_in": 300, "interval": 1}, {}

    def device(self, given):
        """What was given as `answers`, one after the other, then the token."""
        waiting = self.devices.get(given.get("device_code"))
        if waiting is None:
            return 400, {"error": "expired_token"}, {}
        if waiting:
            return 400, {"error": waiting.pop(0)}, {}
        return 200, {**self.grant()[1], "refresh_token": self.new_refresh()}, {}

    def authorize(self, given):
        """The person consents at once."""
        code = secrets.token_urlsafe(12)
        self.codes[code] = given
        where = given["redirect_uri"] + "?" + urllib.parse.urlencode({"code": code, "state": given.get("state", "")})
        return 302, {}, {"Location": where}

    def code(self, given):
        asked = self.codes.pop(given.get("code"), None)
        if not asked or asked["redirect_uri"] != given.get("redirect_uri"):
            return 400, {"error": "invalid_grant"}, {}
        hashed = base64.urlsafe_b64encode(hashlib.sha256(given.get("code_verifier", "").encode()).digest()).rstrip(b"=")
        if asked.get("code_challenge_method") != "S256" or asked.get("code_challenge") != hashed.decode():
            return 400, {"error": "invalid_grant", "error_description": "PKCE"}, {}
        return 200, {**self.grant()[1], "refresh_token": self.new_refresh()}, {}
