"""slipmux (draft-bormann-t2trg-slipmux) from its text: CoAP frames on a serial line, and nothing else of it."""

END, ESC, ESC_END, ESC_ESC = 0xC0, 0xDB, 0xDC, 0xDD
COAP = 0xA9
GOOD = 0xF0B8


def fcs16(data):
    """RFC 1662 C.2, without the final complement."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ 0x8408 if value & 1 else value >> 1
    return value


def encode(message):
    frame = bytes([COAP]) + message
    frame += (fcs16(frame) ^ 0xFFFF).to_bytes(2, "little")
    escaped = frame.replace(bytes([ESC]), bytes([ESC, ESC_ESC])).replace(bytes([END]), bytes([ESC, ESC_END]))
    return bytes([END]) + escaped + bytes([END])


class Decoder:
    """Bytes in, CoAP messages out; whatever is none is passed over."""

    def __init__(self):
        self.pending = b""

    def push(self, data):
        *frames, self.pending = (self.pending + data).split(bytes([END]))
        for frame in frames:
            message = decode(frame)
            if message is not None:
                yield message


def decode(frame):
    plain = bytearray()
    escaped = False
    for byte in frame:
        if escaped:
            if byte not in (ESC_END, ESC_ESC):
                return None
            plain.append(END if byte == ESC_END else ESC)
            escaped = False
        elif byte == ESC:
            escaped = True
        else:
            plain.append(byte)
    if escaped or len(plain) < 3 or plain[0] != COAP or fcs16(plain) != GOOD:
        return None
    return bytes(plain[1:-2])
