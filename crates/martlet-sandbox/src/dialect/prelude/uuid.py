def _mt_make_uuid():
    import random
    import hashlib

    class UUID:
        def __init__(self, hex=None, bytes=None, bytes_le=None, fields=None, int=None, version=None):
            if hex is not None:
                text = hex.replace('urn:', '').replace('uuid:', '').strip('{}').replace('-', '')
                if len(text) != 32:
                    raise ValueError('badly formed hexadecimal UUID string')
                value = number(text)
            elif bytes is not None:
                value = number(bytes.hex())
            elif int is not None:
                value = int
            else:
                raise TypeError('one of the hex, bytes, bytes_le, fields, or int arguments must be given')
            if version is not None:
                value = value & ~(0xc000 << 48) | 0x8000 << 48
                value = value & ~(0xf000 << 64) | version << 76
            self.int = value
            self.hex = format(value, '032x')
            self.version = value >> 76 & 15

        def __str__(self):
            h = self.hex
            return h[:8] + '-' + h[8:12] + '-' + h[12:16] + '-' + h[16:20] + '-' + h[20:]

        def __repr__(self):
            return "UUID('" + str(self) + "')"

        def __eq__(self, other):
            return hasattr(other, 'int') and self.int == other.int

        def __hash__(self):
            return hash(self.int)

    def number(text):
        return int(text, 16)

    def uuid4():
        return UUID(int=random.getrandbits(128), version=4)

    def uuid5(namespace, name):
        data = bytes.fromhex(namespace.hex) + name.encode()
        return UUID(hex=hashlib.sha1(data).hexdigest()[:32], version=5)

    def uuid3(namespace, name):
        data = bytes.fromhex(namespace.hex) + name.encode()
        return UUID(hex=hashlib.md5(data).hexdigest(), version=3)
    return _mt_Module('uuid', {
        'UUID': UUID, 'uuid1': uuid4, 'uuid4': uuid4, 'uuid5': uuid5, 'uuid3': uuid3,
        'NAMESPACE_DNS': UUID('6ba7b810-9dad-11d1-80b4-00c04fd430c8'),
        'NAMESPACE_URL': UUID('6ba7b811-9dad-11d1-80b4-00c04fd430c8')})


_mt_mod_uuid = _mt_make_uuid()
