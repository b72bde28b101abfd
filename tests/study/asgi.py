"""A browser without a network: asks a site in this process, keeps cookies, follows redirects."""

import asyncio
from http.cookies import SimpleCookie
from urllib.parse import urlencode, urljoin, urlsplit


class Answer:
    """What came back."""

    def __init__(self, url, status, headers, body):
        self.url, self.status, self.body = url, status, body
        self.headers = [(key.decode(), value.decode()) for key, value in headers]

    def __getitem__(self, name):
        return dict(self.headers).get(name)

    @property
    def text(self):
        return self.body.decode()


class Browser:
    """Cookies of one visitor of one site; URLs are resolved as a browser resolves them."""

    def __init__(self, site, base="http://host/"):
        self.site, self.base, self.cookies = site, base, {}

    def ask(self, method, url, fields=None, follow=True, headers=()):
        url = urljoin(self.base, url)
        parts = urlsplit(url)
        body = urlencode(fields or {}).encode()
        sent = [(b"cookie", "; ".join(f"{k}={v}" for k, v in self.cookies.items()).encode())]
        if method == "POST":
            sent += [
                (b"content-type", b"application/x-www-form-urlencoded"),
                (b"content-length", str(len(body)).encode()),
            ]
        sent += [(key.encode(), value.encode()) for key, value in headers]
        answer = asyncio.run(self._ask(method, parts, sent, body, url))
        for key, value in answer.headers:
            if key == "set-cookie":
                self.cookies |= {name: morsel.value for name, morsel in SimpleCookie(value).items()}
        if follow and answer.status in (303, 307):
            return self.ask("GET", urljoin(url, answer["location"]))
        return answer

    def get(self, url="", **more):
        return self.ask("GET", url, **more)

    def post(self, url, fields=None, **more):
        return self.ask("POST", url, fields, **more)

    async def _ask(self, method, parts, headers, body, url):
        sent = []
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": parts.path,
            "raw_path": parts.path.encode(),
            "query_string": parts.query.encode(),
            "root_path": "",
            "headers": headers,
            "client": ("127.0.0.1", 1),
            "server": ("host", 80),
        }

        async def receive():
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message):
            sent.append(message)

        await self.site(scope, receive, send)
        content = b"".join(message.get("body", b"") for message in sent[1:])
        return Answer(url, sent[0]["status"], sent[0]["headers"], content)
