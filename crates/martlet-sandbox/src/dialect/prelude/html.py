def _mt_make_html():
    import re
    names = {'amp': '&', 'lt': '<', 'gt': '>', 'quot': '"', 'apos': "'", 'nbsp': '\xa0', 'copy': '\xa9',
             'reg': '\xae', 'euro': '\u20ac', 'pound': '\xa3', 'yen': '\xa5', 'cent': '\xa2', 'hellip': '\u2026',
             'mdash': '\u2014', 'ndash': '\u2013', 'lsquo': '\u2018', 'rsquo': '\u2019', 'ldquo': '\u201c',
             'rdquo': '\u201d', 'bull': '\u2022', 'middot': '\xb7', 'deg': '\xb0', 'plusmn': '\xb1',
             'times': '\xd7', 'divide': '\xf7', 'laquo': '\xab', 'raquo': '\xbb', 'trade': '\u2122',
             'auml': '\xe4', 'ouml': '\xf6', 'uuml': '\xfc', 'Auml': '\xc4', 'Ouml': '\xd6', 'Uuml': '\xdc',
             'szlig': '\xdf', 'eacute': '\xe9', 'egrave': '\xe8', 'agrave': '\xe0', 'ccedil': '\xe7',
             'ntilde': '\xf1', 'sect': '\xa7', 'para': '\xb6', 'frac12': '\xbd', 'larr': '\u2190',
             'rarr': '\u2192'}

    def escape(s, quote=True):
        s = s.replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;')
        if quote:
            s = s.replace('"', '&quot;').replace("'", '&#x27;')
        return s

    def unescape(s):
        out = ''
        at = 0
        for m in re.finditer('&(#[xX][0-9a-fA-F]+|#[0-9]+|[A-Za-z0-9]+);', s):
            out += s[at:m.start()]
            at = m.end()
            code = m.group(1)
            if code[:2] in ('#x', '#X'):
                out += chr(int(code[2:], 16))
            elif code[0] == '#':
                out += chr(int(code[1:]))
            else:
                out += names.get(code, m.group(0))
        return out + s[at:]
    return _mt_Module('html', {'escape': escape, 'unescape': unescape})


_mt_mod_html = _mt_make_html()
