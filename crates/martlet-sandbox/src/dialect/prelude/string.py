def _mt_make_string():
    lower = 'abcdefghijklmnopqrstuvwxyz'
    upper = lower.upper()
    punctuation = '!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~'

    def capwords(s, sep=None):
        return (sep or ' ').join([word.capitalize() for word in s.split(sep)])

    class Template:
        def __init__(self, template):
            self.template = template

        def fill(self, values, safe):
            import re
            out = ''
            at = 0
            for m in re.finditer(r'\$(?:(\$)|([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})', self.template):
                out += self.template[at:m.start()]
                at = m.end()
                name = m.group(2) or m.group(3)
                if m.group(1):
                    out += '$'
                elif name in values:
                    out += str(values[name])
                elif safe:
                    out += m.group(0)
                else:
                    raise KeyError(name)
            return out + self.template[at:]

        def substitute(self, mapping=None, **values):
            return self.fill({**(mapping or {}), **values}, False)

        def safe_substitute(self, mapping=None, **values):
            return self.fill({**(mapping or {}), **values}, True)
    return _mt_Module('string', {
        'ascii_lowercase': lower, 'ascii_uppercase': upper, 'ascii_letters': lower + upper, 'digits': '0123456789',
        'hexdigits': '0123456789abcdefABCDEF', 'octdigits': '01234567', 'punctuation': punctuation,
        'whitespace': ' \t\n\r\x0b\x0c',
        'printable': '0123456789' + lower + upper + punctuation + ' \t\n\r\x0b\x0c', 'capwords': capwords,
        'Template': Template})


_mt_mod_string = _mt_make_string()
