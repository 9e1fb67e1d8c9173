def _mt_make_re():
    import re

    def replace(pattern, repl, text, count):
        out = ''
        at = 0
        done = 0
        expand = type(repl) is str
        for m in pattern.finditer(text):
            if count and done >= count:
                break
            out += text[at:m.start()]
            out += pattern.sub(repl, m.group(0), count=1) if expand else repl(m)
            at = m.end()
            done += 1
        return (out + text[at:], done)

    def compiled(pattern, flags):
        return re.compile(pattern, flags) if type(pattern) is str else pattern

    def sub(pattern, repl, string, count=0, flags=0):
        if type(repl) is str:
            return re.sub(pattern, repl, string, count, flags)
        return replace(compiled(pattern, flags), repl, string, count)[0]

    def subn(pattern, repl, string, count=0, flags=0):
        pattern = compiled(pattern, flags)
        if type(repl) is str:
            found = len([m for m in pattern.finditer(string)])
            return (pattern.sub(repl, string, count), min(found, count) if count else found)
        return replace(pattern, repl, string, count)

    def pattern_sub(pattern, repl, *rest, **options):
        if type(pattern) is not re.Pattern or type(repl) is str:
            return pattern.sub(repl, *rest, **options)
        return sub(pattern, repl, *rest, **options)

    def pattern_subn(pattern, repl, *rest, **options):
        return subn(pattern, repl, *rest, **options)
    return _mt_Module('re', {'sub': sub, 'subn': subn, 'pattern_sub': pattern_sub, 'pattern_subn': pattern_subn})


_mt_mod_re = _mt_make_re()
_mt_pattern_sub = _mt_mod_re.pattern_sub
_mt_pattern_subn = _mt_mod_re.pattern_subn
