# SPDX-License-Identifier: MIT
"""The host's side of run-boot: server.py FOLDER PORT URL ADDRESS.

Serves FOLDER at PORT. GET /check/SUM takes URL, which leads into the guest, and says forward-same if its SHA-256 is
SUM; GET /ping sends ICMP echo requests to ADDRESS and says host-pings if three are answered.
"""
import hashlib
import http.server
import os
import socket
import struct
import sys
import urllib.request

FOLDER, PORT, URL, ADDRESS = sys.argv[1:]


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ping():
    """Three echo requests, one after the other: whether all were answered. RFC 792."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
        raw.settimeout(30)
        for number in range(3):
            body = struct.pack("!HH8s", os.getpid() & 0xFFFF, number, b"pingping")
            head = struct.pack("!BBH", 8, 0, checksum(b"\x08\x00\x00\x00" + body))
            raw.sendto(head + body, (ADDRESS, 0))
            while True:
                answer = raw.recv(2000)
                if answer[20:21] == b"\x00" and answer[24:] == body:
                    break
    return True


class Handler(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *args):
        super().__init__(*args, directory=FOLDER)

    def say(self, text):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode() + b"\n")

    def do_GET(self):
        if self.path.startswith("/check/"):
            with urllib.request.urlopen(URL, timeout=120) as answer:
                found = hashlib.sha256(answer.read()).hexdigest()
            self.say("forward-same" if found == self.path[7:] else f"forward-differs: {found}")
        elif self.path == "/ping":
            self.say("host-pings" if ping() else "no answer")
        else:
            super().do_GET()

    def log_message(self, *args):
        pass


http.server.ThreadingHTTPServer(("", int(PORT)), Handler).serve_forever()
