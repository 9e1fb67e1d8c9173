def _mt_make_textwrap():
    import re

    def wrap(text, width=70, *, initial_indent='', subsequent_indent='', break_long_words=True, max_lines=None,
             placeholder=' [...]', **options):
        words = []
        for word in re.split(r'\s+', text.strip()):
            if not word:
                continue
            # CPython also breaks after hyphens between letters.
            at = 0
            for i in range(1, len(word) - 1):
                if word[i] == '-' and word[i - 1].isalpha() and word[i + 1].isalpha():
                    words.append((word[at:i + 1], at == 0))
                    at = i + 1
            words.append((word[at:], at == 0))
        lines = []
        line = ''
        i = 0
        while i < len(words):
            word, spaced = words[i]
            indent = initial_indent if not lines else subsequent_indent
            room = width - len(indent)
            gap = ' ' if line and spaced else ''
            if len(line) + len(gap) + len(word) <= room:
                line += gap + word
                i += 1
            elif not line or len(word) > room and break_long_words and room - len(line) - len(gap) > 0:
                if not break_long_words:
                    lines.append(indent + word)
                    i += 1
                    continue
                cut = room - len(line) - len(gap)
                line += gap + word[:cut]
                words[i] = (word[cut:], False)
                lines.append(indent + line)
                line = ''
            else:
                lines.append(indent + line)
                line = ''
        if line:
            lines.append((initial_indent if not lines else subsequent_indent) + line)
        if max_lines is not None and len(lines) > max_lines:
            kept = lines[:max_lines]
            last = kept[-1]
            while last and len(last) + len(placeholder) > width:
                last = last.rsplit(' ', 1)[0] if ' ' in last else ''
            kept[-1] = last + placeholder if last else placeholder.lstrip()
            return kept
        return lines

    def fill(text, width=70, **options):
        return '\n'.join(wrap(text, width, **options))

    def shorten(text, width, placeholder=' [...]', **options):
        text = ' '.join(text.split())
        if len(text) <= width:
            return text
        lines = wrap(text, width, max_lines=1, placeholder=placeholder)
        return lines[0] if lines else placeholder.lstrip()

    def dedent(text):
        lines = ['' if not line.strip() else line for line in text.split('\n')]
        margin = None
        for line in lines:
            if not line:
                continue
            indent = line[:len(line) - len(line.lstrip())]
            if margin is None:
                margin = indent
            while not indent.startswith(margin):
                margin = margin[:-1]
        cut = len(margin or '')
        return '\n'.join([line[cut:] for line in lines])

    def indent(text, prefix, predicate=None):
        out = ''
        for line in text.splitlines(True):
            wanted = line.strip() if predicate is None else predicate(line)
            out += prefix + line if wanted else line
        return out
    return _mt_Module('textwrap', {'wrap': wrap, 'fill': fill, 'shorten': shorten, 'dedent': dedent,
                                   'indent': indent})


_mt_mod_textwrap = _mt_make_textwrap()
