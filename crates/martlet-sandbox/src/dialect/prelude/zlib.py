def _mt_make_zlib():
    import binascii

    def adler32(data, value=1):
        a = value & 65535
        b = value >> 16
        for byte in data:
            a = (a + byte) % 65521
            b = (b + a) % 65521
        return b << 16 | a
    return _mt_Module('zlib', {'crc32': binascii.crc32, 'adler32': adler32})


_mt_mod_zlib = _mt_make_zlib()
