"""Sends requests to an API server through the official Kubernetes client, which handles kubeconfig and proxies.

Two parts of that client are not used. Its exec client, WSClient, keeps all output of a command in memory and joins it
piece by piece, so that 64 MiB take a minute. And it leaves private keys in temporary files until the process ends, or
forever if the process is killed. Here, OpenSSL reads them at once, and then they are deleted.
"""

from __future__ import annotations

import logging
import re
import ssl
import tempfile
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from backends.errors import BackendError, SpecError, TransientError
from backends.kubernetes.client.errors import ApiError, read_error
from backends.kubernetes.client.kubeconfig import Configuration, Context

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse
    from websocket import WebSocket

_log = logging.getLogger(__name__)
_READING = threading.Lock()  # the client shares its files of equal certificates: another thread could remove them

Query = Mapping[str, str | int]
Body = Mapping[str, object]

CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 5.0, 30.0
MAX_CONNECTIONS = 32  # how many are kept open for later requests
SUBPROTOCOLS = ["v5.channel.k8s.io", "v4.channel.k8s.io"]
FIRST_ERROR_STATUS = 400


class Connection:
    """Sends requests to one API server with the credentials of the context; many threads may use it."""

    def __init__(self, context: Context) -> None:
        from kubernetes.client import configuration
        from kubernetes.client.api_client import ApiClient
        from urllib3 import disable_warnings
        from urllib3.exceptions import InsecureRequestWarning

        self._configuration: Configuration = configuration.Configuration(
            retries=False, connection_pool_maxsize=MAX_CONNECTIONS
        )
        with _READING, tempfile.TemporaryDirectory(prefix="renderer-") as folder:
            context.configure(self._configuration, folder)
            self._tls = _create_tls_context(self._configuration, context.name)
        _authenticate_to_proxy(self._configuration)
        self._configuration.ssl_ca_cert = self._configuration.cert_file = self._configuration.key_file = None
        self._configuration.refresh_api_key_hook = None  # Api loads all credentials again when they are refused
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
        query: Query,
        body: Body | None = None,
        *,
        content_type: str = "application/json",
        read_timeout_s: float = READ_TIMEOUT_S,
        streamed: bool = False,
    ) -> BaseHTTPResponse:
        """Send a request and return the response; its body is read already unless ``streamed``.

        Raises ApiError for an answer that is an error, BackendError if there is none.
        """
        import urllib3
        from kubernetes.client.exceptions import ApiException

        request = self._client.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params={"Accept": "application/json", "Content-Type": content_type},
            body=body,
            auth_settings=["BearerToken"],
        )
        began = time.monotonic()
        try:
            answer = self._client.call_api(*request, _request_timeout=(CONNECT_TIMEOUT_S, read_timeout_s))
            if answer.status >= FIRST_ERROR_STATUS:
                raise read_error(answer.status, answer.read())
            if not streamed:
                answer.read()
            _log_request(method, path, answer.status, began)
            response: BaseHTTPResponse = answer.response
        except ApiError as error:
            _log_request(method, path, error.code, began)
            raise
        except (urllib3.exceptions.HTTPError, OSError, ApiException) as error:
            _log_request(method, path, type(error).__name__, began)
            raise self._translate_error(error) from error
        return response

    def open_websocket(self, path: str, query: list[tuple[str, str]]) -> WebSocket:
        """Open a websocket for exec, which carries stdin and stdout. Raises ApiError, BackendError, TransientError."""
        import websocket
        from kubernetes.stream import ws_client

        url = ws_client.get_websocket_url(f"{self.server}{path}", query)
        token = self._configuration.get_api_key_with_prefix("BearerToken")
        options = {"header": [f"Authorization: {token}"] if token else []}
        options = ws_client.websocket_proxycare(options, self._configuration, url, {})
        tls = {"context": self._tls, "server_hostname": self._configuration.tls_server_name}
        began = time.monotonic()
        try:
            opened = websocket.create_connection(
                url, timeout=READ_TIMEOUT_S, sslopt={key: value for key, value in tls.items() if value},
                redirect_limit=0, subprotocols=SUBPROTOCOLS, enable_multithread=False, skip_utf8_validation=True,
                **options,
            )  # fmt: skip
        except websocket.WebSocketBadStatusException as error:
            _log_request("WEBSOCKET", path, error.status_code, began)
            body = error.resp_body or b""
            raise read_error(error.status_code, body if isinstance(body, bytes) else body.encode()) from error
        except (websocket.WebSocketException, OSError) as error:
            _log_request("WEBSOCKET", path, type(error).__name__, began)
            raise self._translate_error(error) from error
        _log_request("WEBSOCKET", path, "open", began)
        return opened

    def _translate_error(self, error: Exception) -> BackendError:
        """Return the error for a failed connection: wrong certificate, refused by a proxy, or a server that is down."""
        if refused := re.search(r"certificate verify failed: (.+?) \(_ssl", str(error)):
            return BackendError(
                f"the certificate of {self.server} does not match the kubeconfig: {refused[1].rstrip('.')}",
                hint="get a new kubeconfig from the cluster",
            )
        if refused := re.search(r"failed: (4\d\d)|failed CONNECT via proxy status: (4\d\d)", str(error)):
            return BackendError(
                f"the proxy before {self.server} refuses the connection: HTTP {refused[1] or refused[2]}",
                hint="write the proxy's user and password into proxy-url of the kubeconfig, or into HTTPS_PROXY",
            )
        return TransientError(
            f"the Kubernetes API server {urlsplit(self.server).netloc} does not answer",
            hint="check that the cluster is up and that this machine can reach it: `kubectl version`",
        )


def _log_request(method: str, path: str, result: int | str, began: float) -> None:
    """Log one request, without its query, its headers and its body: they may contain secrets."""
    _log.debug("%s %s: %s in %.0f ms", method, path, result, 1000 * (time.monotonic() - began))


def _authenticate_to_proxy(configuration: Configuration) -> None:
    """Make the client send the user and password of the proxy's URL. Raises SpecError for a SOCKS proxy."""
    from urllib3 import make_headers

    proxy = urlsplit(configuration.proxy or "")
    if proxy.scheme.startswith("socks"):
        raise SpecError(
            f"renderer does not support SOCKS proxies: the kubeconfig names {proxy.hostname}:{proxy.port}",
            hint="name an HTTP proxy there, or use a tunnel or a VPN",
        )
    if proxy.username is not None:
        user = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        configuration.proxy_headers = make_headers(proxy_basic_auth=user)


def _create_tls_context(configuration: Configuration, context: str) -> ssl.SSLContext:
    try:
        tls = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
        tls.verify_flags &= ~ssl.VERIFY_X509_STRICT  # kubectl accepts CAs that Python 3.13 refuses, such as Amazon's
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
