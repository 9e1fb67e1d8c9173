def _mt_make_secrets():
    import random
    import base64

    def token_hex(n=32):
        return ''.join([format(random.getrandbits(8), '02x') for _ in range(n)])

    def token_bytes(n=32):
        return bytes.fromhex(token_hex(n))

    def token_urlsafe(n=32):
        return base64.urlsafe_b64encode(token_bytes(n)).decode().rstrip('=')

    def randbelow(n):
        return random.randrange(n)

    def choice(items):
        return items[random.randrange(len(items))]
    return _mt_Module('secrets', {'token_hex': token_hex, 'token_bytes': token_bytes,
                                  'token_urlsafe': token_urlsafe, 'randbelow': randbelow, 'choice': choice})


_mt_mod_secrets = _mt_make_secrets()
