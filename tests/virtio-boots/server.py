# SPDX-License-Identifier: MIT
"""The host's side of run-boot: server.py FOLDER UPLOADED PORTS.

Serves FOLDER by HTTP, and writes what the first connection to a second port sends into UPLOADED, which is there when it
is complete. Both are at 127.0.0.1; PORTS gets their numbers, on one line.
"""
import functools
import http.server
import os
import socket
import sys
import threading

FOLDER, UPLOADED, PORTS = sys.argv[1:]

handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=FOLDER)
web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
upload = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=web.serve_forever, daemon=True).start()
with open(PORTS + ".new", "w", encoding="ascii") as ports:
    print(web.server_address[1], upload.getsockname()[1], file=ports)
os.rename(PORTS + ".new", PORTS)
connection, _ = upload.accept()
with open(UPLOADED + ".new", "wb") as to:
    while data := connection.recv(65536):
        to.write(data)
os.rename(UPLOADED + ".new", UPLOADED)
connection.close()
threading.Event().wait()
