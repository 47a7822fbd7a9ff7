#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The host's side of tests/e1000-boot: peer.py DATA PORTS runs until it is killed.

Two ports of the loopback, whose numbers are written to PORTS: the first sends the file DATA to whoever connects, the
second answers what it was sent with its MD5, when the other end has finished."""
import hashlib
import os
import socket
import sys
import threading


def give(connection, data):
    connection.sendall(data)


def take(connection, _):
    digest = hashlib.md5()
    while block := connection.recv(65536):
        digest.update(block)
    connection.sendall(digest.hexdigest().encode())


def serve(listener, handle, data):
    while True:
        connection, _ = listener.accept()
        with connection:
            try:
                handle(connection, data)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass
            except OSError as error:
                print(f"peer: {error}", file=sys.stderr)


def main():
    with open(sys.argv[1], "rb") as file:
        data = file.read()
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    with open(sys.argv[2] + ".new", "w", encoding="ascii") as file:
        print(*(listener.getsockname()[1] for listener in listeners), file=file)
    os.rename(sys.argv[2] + ".new", sys.argv[2])
    threads = [threading.Thread(target=serve, args=(listener, handle, data))
               for listener, handle in zip(listeners, (give, take))]
    for thread in threads:
        thread.start()


main()
