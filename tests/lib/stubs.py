"""Things on a port that are not S3, for the failures that a mount must explain."""
import contextlib
import http.server
import socket
import ssl
import subprocess
import threading


@contextlib.contextmanager
def listening(serve=None):
    """A TCP port; serve(connection) runs in a thread for each connection, or nothing ever answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stop = threading.Event()
        held = []

        def accept():
            while not stop.is_set():
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                held.append(connection)
                if serve:
                    threading.Thread(target=serve_quietly, args=(serve, connection), daemon=True).start()
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            stop.set()
            listener.shutdown(socket.SHUT_RDWR)
            for connection in held:
                connection.close()


def serve_quietly(serve, connection):
    with contextlib.suppress(OSError, ssl.SSLError):
        serve(connection)


def banner(connection):
    """Speaks first, and not HTTP."""
    connection.sendall(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")
    connection.recv(1000)
    connection.close()


class WebSite(http.server.BaseHTTPRequestHandler):
    """A web server that knows nothing of S3."""

    def answer(self):
        body = b"<!DOCTYPE html><html><body><h1>It works!</h1></body></html>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_PUT = do_DELETE = do_POST = answer

    def log_message(self, *_):
        pass


def refusing_s3(status, code, message, headers=()):
    """An S3 server that gives the same error to every request."""
    class Refusal(WebSite):
        def answer(self):
            body = (f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message>'
                    "<RequestId>0123456789</RequestId></Error>").encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("x-amz-request-id", "0123456789")
            for name, value in headers:
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
        do_GET = do_HEAD = do_PUT = do_DELETE = do_POST = answer
    return web_site(Refusal)


@contextlib.contextmanager
def web_site(handler=WebSite):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


@contextlib.contextmanager
def self_signed_https(directory):
    """TLS with a certificate that nobody vouches for."""
    key, certificate = directory / "key.pem", directory / "certificate.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key,
                    "-out", certificate, "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"],
                   check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def serve(connection):
        with context.wrap_socket(connection, server_side=True) as secure:
            secure.recv(1000)
    with listening(serve) as port:
        yield port
