"""A room with two controllers of bumble: the hub's, over a pty, and that of a device that speaks CoAP over GATT.

    bumble_side.py PTY TRUST [--mtu N] [--lose-after-block N]

Prints a JSON line for each event. A line on standard input has the device ask the hub for the time.
"""

import argparse
import asyncio
import json
import logging
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "fixtures" / "python-device"))

import aiocoap
from bumble.controller import Controller
from bumble.core import UUID, AdvertisingData
from bumble.device import Device as BumbleDevice
from bumble.gatt import Characteristic, CharacteristicValue, Service
from bumble.hci import Address
from bumble.host import Host
from bumble.link import LocalLink
from bumble.transport import open_transport
from coap_device import CoapDevice
from gatt_coap import SubLayer
from latchkey_device import Device

SERVICE = UUID("8df804b7-3300-496d-9dfa-f8fb40a236bc")
DOWNSTREAM = UUID("8bf52767-5625-43ca-a678-70883a366866")
ADDRESS = "F0:F1:F2:F3:F4:F5"
UPSTREAM = UUID("ab3720c8-7fc0-41f8-aa2a-9a45c2c01a4b")


def tell(event):
    print(json.dumps(event), flush=True)


class Peripheral:
    def __init__(self, options, link):
        self.device = Device(json.loads(pathlib.Path(options.trust).read_text(encoding="utf-8")), tell)
        self.coap = CoapDevice(self.device, self._on_block)
        self.lose_after = options.lose_after_block
        self.connection = None
        self.layer = None
        self.message = b""
        self.tokens = 0
        address = Address(ADDRESS)
        controller = Controller("device", link=link, public_address=address)
        self.bumble = BumbleDevice(name=self.device.trust["device"], address=address, host=Host(controller, controller))
        self.upstream = Characteristic(
            UPSTREAM,
            Characteristic.Properties.INDICATE | Characteristic.Properties.READ,
            Characteristic.READABLE,
            CharacteristicValue(read=lambda _connection: self.message),
        )
        downstream = Characteristic(
            DOWNSTREAM,
            Characteristic.Properties.WRITE,
            Characteristic.WRITEABLE,
            CharacteristicValue(write=self._written),
        )
        self.bumble.add_service(Service(SERVICE, [downstream, self.upstream]))
        if options.mtu is not None:
            self.bumble.gatt_server.max_mtu = options.mtu
        self.bumble.on("connection", self._connected)

    async def start(self):
        await self.bumble.power_on()
        await self._advertise()

    def ask_time(self):
        self.tokens += 1
        request = aiocoap.Message(code=aiocoap.GET, uri_path=["time"], uri_query=self.device.time_query())
        request.token = bytes([self.tokens])
        self.layer.send(request)

    async def _advertise(self):
        flags = (AdvertisingData.FLAGS, bytes([0x06]))
        service = (AdvertisingData.INCOMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS, SERVICE.to_bytes())
        name = (AdvertisingData.COMPLETE_LOCAL_NAME, self.device.trust["device"].encode())
        # bumble 0.0.236 reports no scan response (its controllers repeat the advertisement): the name has the 8 bytes left.
        self.bumble.advertising_data = bytes(AdvertisingData([flags, service, name]))
        await self.bumble.start_advertising(
            auto_restart=True, advertising_interval_min=20, advertising_interval_max=20
        )

    def _connected(self, connection):
        tell({"event": "connected"})
        self.connection = connection
        self.layer = SubLayer(self._indicate, self._heard)
        connection.on("disconnection", self._disconnected)

    def _disconnected(self, reason):
        tell({"event": "disconnected", "reason": reason})
        self.layer.close()
        self.connection = self.layer = None

    def _written(self, _connection, value):
        if self.layer is not None:
            self.layer.receive(bytes(value))

    async def _indicate(self, value):
        if len(value) > 1:
            self.message = value
        await self.bumble.indicate_subscriber(self.connection, self.upstream, value)

    def _heard(self, message):
        if message.code.is_request():
            self.layer.send(self.coap.answer(message))
        else:
            self.device.take_time(message.payload)

    def _on_block(self, number):
        tell({"event": "block", "number": number})
        if self.lose_after == number:
            self.lose_after = None
            asyncio.ensure_future(self.connection.disconnect())


async def main():
    # Below that it warns of commands that its controllers do not know, such as those for the data length.
    logging.basicConfig(level=logging.ERROR)
    parser = argparse.ArgumentParser()
    parser.add_argument("pty")
    parser.add_argument("trust")
    parser.add_argument("--mtu", type=int)
    parser.add_argument("--lose-after-block", type=int)
    options = parser.parse_args()
    link = LocalLink()
    async with await open_transport(f"pty:{options.pty}") as transport:
        # Kept in a name: the transport holds no reference to it.
        hub = Controller("hub", host_source=transport.source, host_sink=transport.sink, link=link)
        peripheral = Peripheral(options, link)
        await peripheral.start()
        tell({"event": "ready", "controller": hub.name})
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while await reader.readline():
            peripheral.ask_time()


asyncio.run(main())
