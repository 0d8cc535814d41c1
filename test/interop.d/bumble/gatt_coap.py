"""The message sub-layer of draft-ietf-core-coap-over-gatt in its minimal use, from the text of the draft.

Unlike Latchkey it acknowledges at once, with an empty message, and never takes an acknowledgement along with an answer.
"""

import asyncio

import aiocoap

RESERVED, MESSAGE_ID, CONFIRM, ACKNOWLEDGE, TOKEN_LENGTH = 0x80, 0x40, 0x20, 0x10, 0x0F
EMPTY = 0


class SubLayer:
    """One connection. `indicate` is awaited with each value; `on_message` is called with each message of the peer."""

    def __init__(self, indicate, on_message):
        self.indicate = indicate
        self.on_message = on_message
        self.message_id = 1
        self.peer_id = 0
        self.previous = None
        self.waiting = []
        self.outstanding = False
        self.values = asyncio.Queue()
        self.sender = asyncio.ensure_future(self._send_values())

    def close(self):
        self.sender.cancel()

    def receive(self, value):
        first = value[0]
        if first & RESERVED:
            return
        if value == self.previous:
            return
        self.previous = value
        if bool(first & ACKNOWLEDGE) == bool(self.message_id):
            self.outstanding = False
        if first & CONFIRM:
            self.peer_id = 1 if first & MESSAGE_ID else 0
            self._put(first_byte(self.message_id, False, self.peer_id, 0), b"")
        if len(value) > 1:
            self.on_message(message_of(value))
        self._send_next()

    def send(self, message):
        self.waiting.append(message)
        self._send_next()

    def _send_next(self):
        if self.outstanding or not self.waiting:
            return
        message = self.waiting.pop(0)
        self.message_id ^= 1
        self.outstanding = True
        content = content_of(message)
        self._put(first_byte(self.message_id, True, self.peer_id, len(message.token)), content)

    def _put(self, first, content):
        self.values.put_nowait(bytes([first]) + content)

    async def _send_values(self):
        while True:
            await self.indicate(await self.values.get())


def first_byte(message_id, confirm, acknowledge, token_length):
    return (
        (MESSAGE_ID if message_id else 0)
        | (CONFIRM if confirm else 0)
        | (ACKNOWLEDGE if acknowledge else 0)
        | token_length
    )


def message_of(value):
    """aiocoap knows the form of RFC 7252, which has a version, a type and a message id."""
    datagram = bytes([0x40 | (value[0] & TOKEN_LENGTH), value[1], 0, 0]) + value[2:]
    return aiocoap.Message.decode(datagram)


def content_of(message):
    message.mtype, message.mid = aiocoap.CON, 0
    datagram = message.encode()
    return datagram[1:2] + datagram[4:]
