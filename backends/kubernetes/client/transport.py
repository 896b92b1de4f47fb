"""The way to an API server: kubeconfig, credentials, proxies and requests are the official client's.

Two things of it are not used. Its exec client, WSClient, keeps all that a command prints in memory and joins it piece
by piece: 64 MiB take it a minute. And it leaves client keys among the temporary files as long as the process lives, for
good when that is killed: here OpenSSL reads them at once, and they go.
"""

from __future__ import annotations

import re
import ssl
import tempfile
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from backends.errors import BackendError, SpecError, TransientError
from backends.kubernetes.client.errors import refusal
from backends.kubernetes.client.kubeconfig import Context

CONNECT_S, READ_S = 5.0, 30.0
CONNECTIONS = 32  # that are kept open for the next request
SUBPROTOCOLS = ["v5.channel.k8s.io", "v4.channel.k8s.io"]


class Connection:
    """Requests to one API server with the credentials as they are now; may be used from many threads."""

    def __init__(self, context: Context) -> None:
        from kubernetes.client.api_client import ApiClient
        from kubernetes.client.configuration import Configuration
        from urllib3 import disable_warnings
        from urllib3.exceptions import InsecureRequestWarning

        self._context = context
        self._configuration = Configuration(retries=False, connection_pool_maxsize=CONNECTIONS)
        with tempfile.TemporaryDirectory(prefix="renderer-") as folder:
            context.fill(self._configuration, folder)
            self._tls = _tls(self._configuration, context.name)
        _sign_in_to_proxy(self._configuration)
        self._configuration.ssl_ca_cert = self._configuration.cert_file = self._configuration.key_file = None
        self._configuration.refresh_api_key_hook = None  # a refusal makes us read all credentials anew
        if not self._configuration.verify_ssl:
            disable_warnings(InsecureRequestWarning)  # the kubeconfig asks for it
        self._client = ApiClient(self._configuration)
        self._client.user_agent = "manim-renderer"
        if self._configuration.host.startswith("https"):
            self._client.rest_client.pool_manager.connection_pool_kw["ssl_context"] = self._tls

    @property
    def server(self) -> str:
        """The API server's URL."""
        return str(self._configuration.host)

    def send(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any],
        body: Mapping[str, Any] | None = None,
        *,
        kind: str = "application/json",
        read_s: float = READ_S,
        streamed: bool = False,
    ) -> Any:
        """Give the response, urllib3's, read to its end unless ``streamed``. Raises ApiError, TransientError."""
        import urllib3
        from kubernetes.client.exceptions import ApiException

        request = self._client.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params={"Accept": "application/json", "Content-Type": kind},
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            answer = self._client.call_api(*request, _request_timeout=(CONNECT_S, read_s))
            if answer.status >= 400:  # noqa: PLR2004 - HTTP's number
                raise refusal(answer.status, answer.read())
            if not streamed:
                answer.read()
        except (urllib3.exceptions.HTTPError, OSError, ApiException) as error:
            raise self._away(error) from error
        return answer.response

    def websocket(self, path: str, query: list[tuple[str, str]]) -> Any:
        """Open a connection that carries exec's streams. Raises ApiError, TransientError."""
        import websocket
        from kubernetes.stream import ws_client

        url = ws_client.get_websocket_url(f"{self.server}{path}", query)
        token = self._configuration.get_api_key_with_prefix("BearerToken")
        options = {"header": [f"Authorization: {token}"] if token else []}
        options = ws_client.websocket_proxycare(options, self._configuration, url, {})
        tls = {"context": self._tls, "server_hostname": self._configuration.tls_server_name}
        try:
            return websocket.create_connection(
                url, timeout=READ_S, sslopt={key: value for key, value in tls.items() if value}, redirect_limit=0,
                subprotocols=SUBPROTOCOLS, enable_multithread=False, skip_utf8_validation=True, **options,
            )  # fmt: skip
        except websocket.WebSocketBadStatusException as error:
            body = error.resp_body or b""
            raise refusal(error.status_code, body if isinstance(body, bytes) else body.encode()) from error
        except (websocket.WebSocketException, OSError) as error:
            raise self._away(error) from error

    def _away(self, error: Exception) -> BackendError:
        """Tell a server that is away from one that is not who it should be."""
        if refused := re.search(r"certificate verify failed: (.+?) \(_ssl", str(error)):
            return BackendError(
                f"the certificate of {self.server} is not what the kubeconfig lets it be: {refused[1].rstrip('.')}",
                hint="get a new kubeconfig from the cluster",
            )
        if refused := re.search(r"failed: (4\d\d)|failed CONNECT via proxy status: (4\d\d)", str(error)):
            return BackendError(
                f"the proxy on the way to {self.server} refuses: HTTP {refused[1] or refused[2]}",
                hint="its user and password belong into the kubeconfig's proxy-url, or into HTTPS_PROXY",
            )
        where = urlsplit(self.server).netloc
        return TransientError(
            f"the Kubernetes API server {where} does not answer", hint="is the cluster up, and reachable from here?"
        )


def _sign_in_to_proxy(configuration: Any) -> None:
    """Let the client send the user and password of the proxy's URL. Raises SpecError for a SOCKS proxy."""
    from urllib3 import make_headers

    proxy = urlsplit(configuration.proxy or "")
    if proxy.scheme.startswith("socks"):
        raise SpecError(
            f"the proxy {proxy.hostname}:{proxy.port} of the kubeconfig speaks SOCKS, which renderer does not",
            hint="name an HTTP proxy there, or take another way: a tunnel, a VPN",
        )
    if proxy.username is not None:
        user = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        configuration.proxy_headers = make_headers(proxy_basic_auth=user)


def _tls(configuration: Any, context: str) -> ssl.SSLContext:
    try:
        tls = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
        tls.verify_flags &= ~ssl.VERIFY_X509_STRICT  # kubectl takes CAs that Python 3.13 would not, as Amazon's are
        if not configuration.verify_ssl:
            tls.check_hostname = False
            tls.verify_mode = ssl.CERT_NONE
        if configuration.cert_file:
            tls.load_cert_chain(configuration.cert_file, configuration.key_file)
    except ssl.SSLError as error:
        raise BackendError(
            f"a certificate or key of the Kubernetes context {context!r} is damaged",
            hint="get a new kubeconfig from the cluster",
        ) from error
    return tls
