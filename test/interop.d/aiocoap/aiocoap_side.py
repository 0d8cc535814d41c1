"""A device whose CoAP is aiocoap's, behind slipmux on a pty.

aiocoap 0.4.17, the newest on PyPI, has no transport for slipmux. It has its own for UDP, messages are the same in both
(RFC 7252), and so each frame of the line is one datagram on loopback here, in either direction.

    aiocoap_side.py PTY TRUST
    aiocoap_side.py PTY --setup CODE

Prints a JSON line for each event. A line on standard input has the device ask the hub for the time.
"""

import argparse
import asyncio
import json
import logging
import os
import pathlib
import pty
import socket
import sys
import tty

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "fixtures" / "python-device"))
os.environ["AIOCOAP_SERVER_TRANSPORT"] = "simplesocketserver"
os.environ["AIOCOAP_CLIENT_TRANSPORT"] = "simplesocketserver"

import aiocoap
import aiocoap.interfaces
import slipmux
from aiocoap.numbers.codes import Code
from latchkey_device import Device, Request
from pairable_device import PairableDevice

LOOPBACK = "127.0.0.1"


def tell(event):
    print(json.dumps(event), flush=True)


class Everything(aiocoap.interfaces.Resource):
    """Every path is the device's. aiocoap puts bodies together before, and takes answers apart behind."""

    def __init__(self, device):
        super().__init__()
        self.device = device

    async def needs_blockwise_assembly(self, request):
        return True

    async def render(self, request):
        content_format = request.opt.content_format
        answer = self.device.handle(
            Request(
                method=int(request.code),
                path=list(request.opt.uri_path),
                query=list(request.opt.uri_query),
                content_format=None if content_format is None else int(content_format),
                payload=request.payload,
            )
        )
        out = aiocoap.Message(code=Code(answer.code), payload=answer.payload)
        if answer.content_format is not None:
            out.opt.content_format = answer.content_format
        return out


class Line(asyncio.DatagramProtocol):
    """Between the pty and aiocoap."""

    def __init__(self, primary):
        self.primary = primary
        self.decoder = slipmux.Decoder()

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, _address):
        os.write(self.primary, slipmux.encode(data))

    def readable(self, port):
        for message in self.decoder.push(os.read(self.primary, 4096)):
            self.transport.sendto(message, (LOOPBACK, port))


async def ask_time(context, device, port):
    message = aiocoap.Message(code=aiocoap.GET, uri=f"coap://{LOOPBACK}:{port}/time?" + "&".join(device.time_query()))
    device.take_time((await context.request(message).response).payload)


async def main():
    # Below that it warns of requests that go out from the port where it serves, which is as it has to be on a line.
    logging.basicConfig(level=logging.ERROR)
    parser = argparse.ArgumentParser()
    parser.add_argument("pty")
    parser.add_argument("trust", nargs="?")
    parser.add_argument("--setup")
    options = parser.parse_args()
    loop = asyncio.get_running_loop()

    primary, replica = pty.openpty()
    tty.setraw(primary)
    tty.setraw(replica)
    os.symlink(os.ttyname(replica), options.pty)

    if options.setup is not None:
        device = PairableDevice(options.setup, tell)
    else:
        device = Device(json.loads(pathlib.Path(options.trust).read_text(encoding="utf-8")), tell)
    line = Line(primary)
    transport, _ = await loop.create_datagram_endpoint(lambda: line, local_addr=(LOOPBACK, 0))
    own_port = transport.get_extra_info("sockname")[1]
    # aiocoap does not say which port the system chose for it.
    port = free_port()
    context = await aiocoap.Context.create_server_context(Everything(device), bind=(LOOPBACK, port))
    loop.add_reader(primary, line.readable, port)
    tell({"event": "ready"})

    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.readline():
        asyncio.ensure_future(ask_time(context, device, own_port))
    await context.shutdown()


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((LOOPBACK, 0))
        return probe.getsockname()[1]


asyncio.run(main())
