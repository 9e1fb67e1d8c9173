def _mt_make_difflib():
    class SequenceMatcher:
        def __init__(self, isjunk=None, a='', b='', autojunk=True):
            self.a = a
            self.b = b
            self.blocks = None

        def set_seqs(self, a, b):
            self.a = a
            self.b = b
            self.blocks = None

        def find(self, alo, ahi, blo, bhi):
            besti = alo
            bestj = blo
            size = 0
            lengths = {}
            for i in range(alo, ahi):
                new = {}
                for j in range(blo, bhi):
                    if self.a[i] == self.b[j]:
                        k = lengths.get(j - 1, 0) + 1
                        new[j] = k
                        if k > size:
                            besti = i - k + 1
                            bestj = j - k + 1
                            size = k
                lengths = new
            return (besti, bestj, size)

        def get_matching_blocks(self):
            if self.blocks is None:
                found = []
                open_parts = [(0, len(self.a), 0, len(self.b))]
                while open_parts:
                    alo, ahi, blo, bhi = open_parts.pop()
                    i, j, k = self.find(alo, ahi, blo, bhi)
                    if k:
                        found.append((i, j, k))
                        open_parts.append((alo, i, blo, j))
                        open_parts.append((i + k, ahi, j + k, bhi))
                found.sort()
                self.blocks = found + [(len(self.a), len(self.b), 0)]
            return self.blocks

        def ratio(self):
            total = len(self.a) + len(self.b)
            if not total:
                return 1.0
            return 2.0 * sum([block[2] for block in self.get_matching_blocks()]) / total

        def quick_ratio(self):
            return self.ratio()

        def get_opcodes(self):
            i = 0
            j = 0
            out = []
            for ai, bj, size in self.get_matching_blocks():
                tag = ''
                if i < ai and j < bj:
                    tag = 'replace'
                elif i < ai:
                    tag = 'delete'
                elif j < bj:
                    tag = 'insert'
                if tag:
                    out.append((tag, i, ai, j, bj))
                i = ai + size
                j = bj + size
                if size:
                    out.append(('equal', ai, i, bj, j))
            return out

    def get_close_matches(word, possibilities, n=3, cutoff=0.6):
        scored = []
        for x in possibilities:
            score = SequenceMatcher(None, x, word).ratio()
            if score >= cutoff:
                scored.append((score, x))
        scored.sort(reverse=True)
        return [x for score, x in scored[:n]]

    def unified_diff(a, b, fromfile='', tofile='', fromfiledate='', tofiledate='', n=3, lineterm='\n'):
        codes = SequenceMatcher(None, a, b).get_opcodes()
        changes = [k for k in range(len(codes)) if codes[k][0] != 'equal']
        if not changes:
            return []
        out = ['--- ' + fromfile + lineterm, '+++ ' + tofile + lineterm]
        groups = []
        group = []
        padded = [list(code) for code in codes]
        if padded[0][0] == 'equal':
            padded[0][1] = max(padded[0][1], padded[0][2] - n)
            padded[0][3] = max(padded[0][3], padded[0][4] - n)
        if padded[-1][0] == 'equal':
            padded[-1][2] = min(padded[-1][2], padded[-1][1] + n)
            padded[-1][4] = min(padded[-1][4], padded[-1][3] + n)
        for tag, i1, i2, j1, j2 in padded:
            if tag == 'equal' and i2 - i1 > 2 * n:
                group.append((tag, i1, min(i2, i1 + n), j1, min(j2, j1 + n)))
                groups.append(group)
                group = []
                i1 = max(i1, i2 - n)
                j1 = max(j1, j2 - n)
            group.append((tag, i1, i2, j1, j2))
        if group and not (len(group) == 1 and group[0][0] == 'equal'):
            groups.append(group)

        def span(start, stop):
            length = stop - start
            if length == 1:
                return str(start + 1)
            return str(start + 1 if length else start) + ',' + str(length)
        for group in groups:
            out.append('@@ -' + span(group[0][1], group[-1][2]) + ' +' + span(group[0][3], group[-1][4]) + ' @@'
                       + lineterm)
            for tag, i1, i2, j1, j2 in group:
                if tag == 'equal':
                    out.extend([' ' + line for line in a[i1:i2]])
                else:
                    out.extend(['-' + line for line in a[i1:i2]])
                    out.extend(['+' + line for line in b[j1:j2]])
        return out
    return _mt_Module('difflib', {'SequenceMatcher': SequenceMatcher, 'get_close_matches': get_close_matches,
                                  'unified_diff': unified_diff})


_mt_mod_difflib = _mt_make_difflib()
