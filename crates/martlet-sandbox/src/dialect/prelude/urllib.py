def _mt_make_urllib():
    import collections
    plain = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~'

    def quote(text, safe='/', encoding=None, errors=None):
        data = text.encode() if type(text) is str else text
        out = ''
        for byte in data:
            c = chr(byte)
            out += c if byte < 128 and (c in plain or c in safe) else '%' + format(byte, '02X')
        return out

    def quote_plus(text, safe=''):
        return quote(text, safe + ' ').replace(' ', '+')

    def unquote(text, encoding='utf-8', errors='replace'):
        out = []
        data = text.encode()
        i = 0
        while i < len(data):
            if data[i] == 37 and i + 2 < len(data) + 0 and is_hex(data[i + 1:i + 3]):
                out.append(int(data[i + 1:i + 3].decode(), 16))
                i += 3
            else:
                out.append(data[i])
                i += 1
        return bytes.fromhex(''.join([format(n, '02x') for n in out])).decode('utf-8', 'replace')

    def is_hex(pair):
        return len(pair) == 2 and all([chr(c) in '0123456789abcdefABCDEF' for c in pair])

    def unquote_plus(text):
        return unquote(text.replace('+', ' '))

    def urlencode(query, doseq=False, safe='', quote_via=None):
        quoting = quote_via or quote_plus
        out = []
        for key, value in (query.items() if hasattr(query, 'items') or type(query) is dict else query):
            values = value if doseq and type(value) in (list, tuple) else [value]
            for one in values:
                out.append(quoting(str(key), safe) + '=' + quoting(one if type(one) is bytes else str(one), safe))
        return '&'.join(out)

    def parse_qsl(text, keep_blank_values=False, **options):
        out = []
        for part in text.split('&'):
            if not part:
                continue
            key, _, value = part.partition('=')
            if value or keep_blank_values:
                out.append((unquote_plus(key), unquote_plus(value)))
        return out

    def parse_qs(text, keep_blank_values=False, **options):
        out = {}
        for key, value in parse_qsl(text, keep_blank_values):
            out.setdefault(key, []).append(value)
        return out

    class ParseResult:
        def __init__(self, scheme, netloc, path, params, query, fragment):
            self.scheme = scheme
            self.netloc = netloc
            self.path = path
            self.params = params
            self.query = query
            self.fragment = fragment
            host = netloc.rpartition('@')[2]
            user = netloc.rpartition('@')[0]
            self.username = user.partition(':')[0] or None
            self.password = user.partition(':')[2] or None
            name, _, port = host.partition(':')
            self.hostname = name.lower() or None
            self.port = int(port) if port else None

        def parts(self):
            return (self.scheme, self.netloc, self.path, self.params, self.query, self.fragment)

        def __iter__(self):
            return iter(self.parts())

        def __getitem__(self, key):
            return self.parts()[key]

        def __eq__(self, other):
            return tuple(self) == tuple(other)

        def geturl(self):
            return urlunparse(self)

        def _replace(self, **changes):
            values = {'scheme': self.scheme, 'netloc': self.netloc, 'path': self.path, 'params': self.params,
                      'query': self.query, 'fragment': self.fragment}
            values.update(changes)
            return ParseResult(**values)

        def __repr__(self):
            return ('ParseResult(scheme=' + repr(self.scheme) + ', netloc=' + repr(self.netloc) + ', path='
                    + repr(self.path) + ', params=' + repr(self.params) + ', query=' + repr(self.query)
                    + ', fragment=' + repr(self.fragment) + ')')

    def urlparse(url, scheme='', allow_fragments=True):
        netloc = ''
        params = ''
        head, colon, rest = url.partition(':')
        if colon and head and head[0].isalpha() and all([c.isalnum() or c in '+-.' for c in head]):
            scheme = head.lower()
            url = rest
        if url[:2] == '//':
            end = len(url)
            for c in '/?#':
                at = url.find(c, 2)
                if at >= 0:
                    end = min(end, at)
            netloc = url[2:end]
            url = url[end:]
        url, _, fragment = url.partition('#')
        url, _, query = url.partition('?')
        if ';' in url:
            url, _, params = url.partition(';')
        return ParseResult(scheme, netloc, url, params, query, fragment)

    def urlunparse(parts):
        scheme, netloc, path, params, query, fragment = parts
        url = path
        if params:
            url += ';' + params
        if netloc:
            if url and url[0] != '/':
                url = '/' + url
            url = '//' + netloc + url
        if scheme:
            url = scheme + ':' + url
        if query:
            url += '?' + query
        if fragment:
            url += '#' + fragment
        return url

    def urljoin(base, url):
        if not base:
            return url
        if not url:
            return base
        b = urlparse(base)
        u = urlparse(url)
        if u.scheme and u.scheme != b.scheme:
            return url
        if u.netloc:
            return urlunparse((b.scheme, u.netloc, u.path, u.params, u.query, u.fragment))
        if not u.path:
            return urlunparse((b.scheme, b.netloc, b.path, u.params or b.params, u.query or b.query, u.fragment))
        path = u.path if u.path[0] == '/' else b.path.rpartition('/')[0] + '/' + u.path
        out = []
        parts = path.split('/')
        for part in parts:
            if part == '..':
                if len(out) > 1:
                    out.pop()
            elif part != '.':
                out.append(part)
        if parts[-1] in ('.', '..'):
            out.append('')
        return urlunparse((b.scheme, b.netloc, '/'.join(out), u.params, u.query, u.fragment))

    def urlsplit(url, scheme='', allow_fragments=True):
        return urlparse(url, scheme)
    parse = _mt_Module('urllib.parse', {
        'quote': quote, 'quote_plus': quote_plus, 'unquote': unquote, 'unquote_plus': unquote_plus,
        'urlencode': urlencode, 'parse_qs': parse_qs, 'parse_qsl': parse_qsl, 'urlparse': urlparse,
        'urlsplit': urlsplit, 'urlunparse': urlunparse, 'urljoin': urljoin, 'ParseResult': ParseResult})
    return _mt_Module('urllib', {'parse': parse})


_mt_mod_urllib = _mt_make_urllib()
